import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { missingChromium, openChromium, openPage } from '../support/chromium.ts'
import { tempFolder } from '../support/helpers.ts'
import { serveFolder } from '../support/web-server.ts'
import { type FrameworkApp, installApp, packPackage, runIn } from './app.ts'
import { expectedAnswer } from './server.ts'

const folder = tempFolder()
let app: FrameworkApp
beforeAll(async () => {
  app = await installApp('tools', join(folder, 'tools'), {
    sources: 'src/models',
    isDevDependency: true,
    tarball: await packPackage(folder),
  })
})

test('ESLint resolves imports of models with a query, and reports a model that is missing', async () => {
  expect(await runIn(app, ['eslint', 'src'])).toBe('')
  const report = runIn(app, ['eslint', 'broken'])
  await expect(report).rejects.toThrow(/'\.\/missing\.onnx\?engine=fp32' +import\/no-unresolved/)
  await expect(report).rejects.toThrow(/'\.\/missing\.onnx\?engine=fp32' +import-x\/no-unresolved/)
})

test('knip and Prettier accept imports of models as they are', async () => {
  expect(await runIn(app, ['knip', '--no-config-hints', '--include', 'files,unlisted,unresolved'])).toBe('')
  expect(await runIn(app, ['prettier', '--check', 'src/main.js', 'broken'])).toContain('All matched files')
})

test.skipIf(missingChromium)('a story of Storybook runs a model in the page', async () => {
  await runIn(app, ['storybook', 'build', '--disable-telemetry'])
  await using server = await serveFolder(join(app.folder, 'storybook-static'))
  const browser = await openChromium()
  try {
    await using opened = await openPage(browser, `${server.url}iframe.html?id=answer--plain`)
    const text = await opened.page.locator('output:not(:empty)').textContent()
    expect(JSON.parse(text ?? '')).toEqual(await expectedAnswer())
  } finally {
    await browser.close()
  }
})
