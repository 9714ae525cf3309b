import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseSync } from 'oxc-parser'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

test('the runtime of pages imports files of its own only, and none of Node.js', () => {
  expect(foreignImports('runtime/web/index.ts')).toEqual([])
})

test('the worker of pages imports no file at all, because it is shipped as it is', () => {
  expect(importsOf('runtime/web/worker-main.ts')).toEqual([])
})

/** Imports of packages and of Node.js, in a file and in all that it imports. */
function foreignImports(file: string, seen = new Set<string>()): readonly string[] {
  if (seen.has(file)) return []
  seen.add(file)
  return importsOf(file).flatMap((specifier) =>
    specifier.startsWith('.') ? foreignImports(join(dirname(file), specifier), seen) : [`${file}: ${specifier}`],
  )
}

/** What a file imports when it runs: types are gone by then. */
function importsOf(file: string): readonly string[] {
  const { module } = parseSync(file, readFileSync(join(root, file), 'utf8'))
  const imports = module.staticImports
    .filter(({ entries }) => entries.length === 0 || entries.some(({ isType }) => !isType))
    .map(({ moduleRequest }) => moduleRequest.value)
  const exports = module.staticExports.flatMap(({ entries }) =>
    entries
      .filter(({ isType }) => !isType)
      .flatMap(({ moduleRequest }) => (moduleRequest ? [moduleRequest.value] : [])),
  )
  return [...new Set([...imports, ...exports])]
}
