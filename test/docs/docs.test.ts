import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { globSync } from 'tinyglobby'
import { describe, expect, it, test } from 'vitest'
import { http } from '../../plugin/cache/remote/http-store.ts'
import { resolveOptions } from '../../plugin/options/resolve.ts'
import {
  architecturePage,
  commandPage,
  errorsPage,
  frameworksPage,
  openvinoPage,
  optionsPage,
  rewrittenPage,
} from '../support/docs.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const pages = globSync(['*.md', 'docs/**/*.md', '.github/**/*.md'], { cwd: root, dot: true }).sort()

// `npm run docs` writes the tables.
it('docs/options.md lists every option with its type, default and meaning', async () => {
  await expect(await optionsPage()).toMatchFileSnapshot('../../docs/options.md')
})

it('docs/errors.md lists every error code with its meaning', async () => {
  await expect(await errorsPage()).toMatchFileSnapshot('../../docs/errors.md')
})

it('docs/command.md lists every option of every command', async () => {
  await expect(await commandPage()).toMatchFileSnapshot('../../docs/command.md')
})

it('docs/architecture.md shows the floors that lint enforces', async () => {
  await expect(await architecturePage()).toMatchFileSnapshot('../../docs/architecture.md')
})

it('docs/openvino.md lists the nodes that a build refuses', async () => {
  await expect(await openvinoPage()).toMatchFileSnapshot('../../docs/openvino.md')
})

it('docs/frameworks.md lists the versions that its tests install', async () => {
  await expect(await frameworksPage()).toMatchFileSnapshot('../../docs/frameworks.md')
})

it('docs/nvidia.md lists every operator that is rewritten for a compiler', async () => {
  await expect(await rewrittenPage()).toMatchFileSnapshot('../../docs/nvidia.md')
})

describe('links between pages', () => {
  test.each(pages)('%s: every link leads to a file and a heading', (page) => {
    const links = [...textOf(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, link = '']) => link)
    expect(links.filter((link) => !leadsSomewhere(page, link))).toEqual([])
  })

  test.each(pages.filter((page) => page.startsWith('docs/')))('%s: README.md or an index links to it', (page) => {
    const indexes = ['README.md', 'docs/decisions/README.md']
    const linked = indexes.flatMap((index) =>
      [...textOf(index).matchAll(/\]\(([^)\s#]+)\)/g)].map(([, link = '']) => join(dirname(index), link)),
    )
    expect(linked.map((path) => path.replaceAll('\\', '/'))).toContain(page)
  })
})

describe('source files in pages', () => {
  test.each(pages)('%s: every source file that it names exists', (page) => {
    const named = [...textOf(page).matchAll(/`((?:plugin|runtime|native|test|\.github)\/[\w./-]*\w)\/?`/g)]
    const missing = named.map(([, path = '']) => path).filter((path) => !existsSync(join(root, path)))
    expect(missing).toEqual([])
  })
})

describe('options in code blocks', () => {
  const blocks = pages.flatMap((page) => optionBlocksOf(page).map((code, index) => ({ page, number: index + 1, code })))

  test.each(blocks)('$page: the plugin accepts the options of block $number', ({ code }) => {
    const accepted: unknown[] = []
    const onnx = (options: unknown) => accepted.push(resolveOptions(options, root))
    // Pages show whole configurations, calls, and parts of the options.
    const call = /^\w+:/.test(code) ? `onnx({ ${code} })` : code
    const body = call.replaceAll(/^import .*$/gm, '').replace('export default', 'const configuration =')
    const names = otherNames(code)
    // oxlint-disable-next-line no-new-func -- these blocks are ours
    const run = new Function('onnx', 'http', 'process', ...names, body)
    const given = names.map((name) => (name === 'defineConfig' && code.includes(ownConfig) ? onnx : asItIs))
    run(onnx, http, { env: secrets }, ...given)
    expect(accepted.length).toBeGreaterThan(0)
  })
})

/** What a block calls besides the plugin: imports from frameworks, and their global functions. */
function otherNames(code: string): readonly string[] {
  const imported = [...code.matchAll(/^import (?:\{ (\w+) \}|(\w+)) from/gm)].map(
    ([, one, other]) => one ?? other ?? '',
  )
  const defined = [...code.matchAll(/\bdefine\w*Config\b/g)].map(([name]) => name)
  return [...new Set([...imported, ...defined])].filter((name) => !['onnx', 'http', ''].includes(name))
}

const secrets = { CACHE_SECRET: 'a secret of at least 32 characters' }

// Vite has a function of the same name.
const ownConfig = `import { defineConfig } from 'unplugin-onnx/config'`

const asItIs = (config: unknown) => config

/** Code blocks that configure the plugin. */
function optionBlocksOf(page: string): readonly string[] {
  return [...textOf(page).matchAll(/^```[jt]s\r?\n(.*?)^```/gms)]
    .map(([, code = '']) => code)
    .filter((code) => code.includes('onnx(') || code.includes(ownConfig) || /^\w+: [{[]/.test(code))
}

function textOf(page: string): string {
  return readFileSync(join(root, page), 'utf8')
}

function leadsSomewhere(page: string, link: string): boolean {
  const [path = '', heading] = link.split('#')
  const target = path === '' ? page : join(dirname(page), path)
  if (!existsSync(resolve(root, target))) return false
  return heading === undefined || headingsOf(target).includes(heading)
}

/** The ids that GitHub gives to the headings of a page. */
function headingsOf(page: string): readonly string[] {
  return [...textOf(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-'),
  )
}
