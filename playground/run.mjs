// `npm run playground` builds the app for Node.js and runs it; with `--page`, for browsers, and serves it.
import { fileURLToPath } from 'node:url'
import { build, preview } from 'vite'

const configFile = fileURLToPath(new URL('vite.config.ts', import.meta.url))
if (process.argv.includes('--page')) {
  await build({ configFile, mode: 'page' })
  const server = await preview({ configFile, mode: 'page' })
  console.log('Open this page and drop an image on it, such as one of playground/images:')
  server.printUrls()
} else {
  await build({ configFile })
  await import('./dist/main.js')
}
