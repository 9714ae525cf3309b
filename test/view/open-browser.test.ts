import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { openBrowser } from '../../plugin/view/open-browser.ts'
import { tempFolder } from '../support/helpers.ts'

afterEach(() => vi.unstubAllEnvs())

/** A folder in PATH whose opener notes its argument and exits with this code. */
function fakeOpener(code: number): string {
  const folder = tempFolder()
  const opened = join(folder, 'opened')
  for (const name of ['xdg-open', 'open']) {
    writeFileSync(join(folder, name), `#!/bin/sh\nprintf %s "$1" > '${opened}'\nexit ${code}\n`)
    chmodSync(join(folder, name), 0o755)
  }
  vi.stubEnv('PATH', folder)
  return opened
}

const url = `http://127.0.0.1:1/a'b;$(c)/`

test.skipIf(process.platform === 'win32')('the opener gets the address as it is', async () => {
  const opened = fakeOpener(0)
  expect(await openBrowser(url)).toBe(true)
  expect(readFileSync(opened, 'utf8')).toBe(url)
})

test.skipIf(process.platform === 'win32')('an opener that finds no browser is told', async () => {
  const opened = fakeOpener(3)
  expect(await openBrowser(url)).toBe(false)
  expect(existsSync(opened)).toBe(true)
})

test.skipIf(process.platform === 'win32')('without an opener there is no browser', async () => {
  vi.stubEnv('PATH', tempFolder())
  expect(await openBrowser(url)).toBe(false)
})
