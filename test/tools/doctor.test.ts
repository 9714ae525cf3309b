import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Check } from '../../plugin/doctor/checks.ts'
import { runCommand } from '../support/command.ts'
import { tempFolder } from '../support/helpers.ts'

const folder = tempFolder()

/** A fresh app; returns its folder. */
function app(name: string, files: Readonly<Record<string, string>>): string {
  const root = join(folder, name)
  mkdirSync(join(root, '.git'), { recursive: true })
  for (const [file, text] of Object.entries(files)) writeFileSync(join(root, file), text)
  return root
}

const files = {
  'vite.config.ts': `export default { plugins: [] }\n`,
  'tsconfig.json': '{\n  "include": ["src"]\n}\n',
  'package.json': '{ "devDependencies": { "electron-builder": "26" } }',
  '.npmrc': 'ignore-scripts=true\n',
}

async function checksOf(root: string, ...args: readonly string[]): Promise<ReadonlyMap<string, Check>> {
  const { stdout } = await runCommand(['doctor', '--root', root, '--json', ...args])
  const { checks } = JSON.parse(stdout) as { checks: readonly Check[] }
  return new Map(checks.map((check) => [check.name, check]))
}

describe('unplugin-onnx doctor', () => {
  it('names what an app lacks, and --fix writes the tsconfig and .gitignore after it has shown them', async () => {
    const root = app('lacking', files)
    const checks = await checksOf(root)
    const undone = [...checks.values()].filter(({ isOk, name }) => !isOk && !name.startsWith('addon'))
    expect(undone.map(({ name, text }) => `${name}: ${text}`)).toEqual([
      'bundler: vite.config.ts lacks the plugin. Run: npx unplugin-onnx init',
      'tsconfig: tsconfig.json lacks the types of models. Run with --fix',
      '.gitignore: lacks the generated types. Run with --fix',
      'asar: electron-builder packs everything: unpack what docs/electron.md lists',
    ])
    expect(checks.get('Node.js')).toEqual({ name: 'Node.js', isOk: true, text: process.versions.node })
    expect(checks.get('install scripts')?.text).toContain('are off (.npmrc)')

    const { stdout, stderr } = await runCommand(['doctor', '--root', root, '--fix'])
    expect(stderr).toMatch(/^\+\.unplugin-onnx$/m)
    expect(stdout).toMatch(/ok +tsconfig +is fine\n {2}ok +\.gitignore +is fine/)
    expect(readFileSync(join(root, '.gitignore'), 'utf8')).toBe('.unplugin-onnx\n')
    expect(JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'))).toMatchObject({
      include: ['src', '.unplugin-onnx/**/*'],
    })
    expect(readFileSync(join(root, 'vite.config.ts'), 'utf8')).toBe(files['vite.config.ts'])
  })

  it.runIf(process.platform === 'linux' && process.getuid?.() !== 0)(
    'names a cache that cannot be written',
    async () => {
      const root = app('read-only', files)
      const cache = join(root, 'cache')
      mkdirSync(cache)
      chmodSync(cache, 0o555)
      expect((await checksOf(root, '--cache-dir', cache)).get('cache folder')).toMatchObject({ isOk: false })
    },
  )

  it('a folder that is no app is told so', async () => {
    const checks = await checksOf(app('empty', {}))
    expect(checks.get('bundler')?.text).toMatch(/^no configuration in .*empty\. Run it in the folder of an app$/)
    expect(checks.get('tsconfig')?.text).toBe('there is no tsconfig.json: calls are not type-checked')
  })
})

describe('unplugin-onnx init', () => {
  it('shows the changes and writes nothing without a terminal or --yes', async () => {
    const root = app('unasked', files)
    const { code, stdout, stderr } = await runCommand(['init', '--root', root])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^\+import onnx from 'unplugin-onnx\/vite'$/m)
    expect(stderr).toMatch(/this is no terminal\. Give --yes to write the changes above\n$/)
    expect(readFileSync(join(root, 'vite.config.ts'), 'utf8')).toBe(files['vite.config.ts'])
  })

  it('--yes writes the configuration, the tsconfig and .gitignore, and a second run has nothing to do', async () => {
    const root = app('asked', files)
    const first = await runCommand(['init', '--root', root, '--yes'])
    expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/^found Vite\nwrote .*vite\.config\.ts\n/) })
    expect(readFileSync(join(root, 'vite.config.ts'), 'utf8')).toBe(
      `import onnx from 'unplugin-onnx/vite'\nexport default { plugins: [onnx()] }\n`,
    )
    const second = await runCommand(['init', '--root', root, '--yes', '--json'])
    expect(JSON.parse(second.stdout)).toMatchObject({ framework: 'Vite', files: [], written: false })
    expect(second.code).toBe(0)
  })
})
