// Entry of `npm run attack`: runs the TypeScript of this folder by Vite's module runner.
import { fileURLToPath } from 'node:url'
import { runnerImport } from 'vite'

await runnerImport(fileURLToPath(new URL('main.ts', import.meta.url)), { configFile: false, logLevel: 'error' })
