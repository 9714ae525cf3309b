import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createModel, type ModelManifest } from 'unplugin-onnx/runtime'
import { beforeAll, describe, expect, test } from 'vitest'
import { double, missingNative, ortManifest } from '../support/engines.ts'
import { tempFolder } from '../support/helpers.ts'

const folder = tempFolder()
const runtime = new URL('../../dist/runtime/index.js', import.meta.url).href
const library = fileURLToPath(
  new URL(
    `../../node_modules/onnxruntime-node/bin/napi-v6/${process.platform}/${process.arch}/libonnxruntime.so.1`,
    import.meta.url,
  ),
)

let manifest: ModelManifest
beforeAll(async () => {
  manifest = await ortManifest(folder, 'double', double)
})

describe.skipIf(missingNative || process.platform !== 'linux')('a library that the user names', () => {
  const text = join(folder, 'libonnxruntime.so')
  writeFileSync(text, 'no library')
  const foreign = library.replace(
    `${process.platform}/${process.arch}`,
    `${process.platform}/${process.arch === 'x64' ? 'arm64' : 'x64'}`,
  )

  test.each([
    ['is not there', '/nowhere', /library was not found; tried the option library \(\/nowhere\)/],
    ['is no library', text, /libonnxruntime\.so cannot be used: .*(file too short|invalid ELF header)/],
    ['is for another architecture', foreign, /cannot be used: /],
    ['is not ONNX Runtime', 'libm.so.6', /library was not found/],
  ])('and that %s is refused', async (_, named, reason) => {
    await expect(createModel(manifest, { library: named }).load()).rejects.toMatchObject({
      code: 'NO_VARIANT',
      message: expect.stringMatching(reason),
    })
  })

  // What ONNX Runtime answers to whoever asks for functions that came later.
  const oldSource = join(folder, 'old.c')
  const old = join(folder, 'old', 'libonnxruntime.so')
  writeFileSync(
    oldSource,
    `#include <stdint.h>
static const void* api(uint32_t version) { return 0; }
static const char* text(void) { return "1.17.3"; }
static const struct { const void* (*api)(uint32_t); const char* (*text)(void); } base = { api, text };
const void* OrtGetApiBase(void) { return &base; }
`,
  )
  mkdirSync(join(folder, 'old'))
  const compiler = spawnSync('cc', ['-shared', '-fPIC', '-o', old, oldSource])
  if (compiler.status !== 0) console.warn('the test of an old ONNX Runtime is skipped: there is no C compiler')

  test.skipIf(compiler.status !== 0).each([
    [{ library: old }, 'NO_VARIANT'],
    [{ library: old, session: 'native' }, 'NO_VARIANT'],
  ] as const)('and that is too old is refused with %j, once', async (options, code) => {
    const failure = await createModel(manifest, options)
      .load()
      .catch((error: Error) => error)
    expect(failure).toMatchObject({
      code,
      message: expect.stringMatching(/is ONNX Runtime 1\.17\.3, and 1\.\d+ or newer is needed/),
    })
    expect((failure as Error).message.match(/1\.17\.3/g)).toHaveLength(1)
  })

  test('is used, whether it is the file or a folder', async () => {
    for (const named of [library, join(library, '..')]) {
      await using model = await createModel(manifest, { library: named }).load()
      expect(model.variant?.session).toBe('native')
    }
  })

  test('by ONNXRUNTIME_ROOT is used or refused', async () => {
    const script = join(folder, 'root.mjs')
    writeFileSync(
      script,
      `import { createModel } from ${JSON.stringify(runtime)}
const model = createModel(${JSON.stringify(manifest)})
console.log(await model.load().then(({ variant }) => variant.session, (error) => error.message))`,
    )
    const run = async (root: string) =>
      (await promisify(execFile)(process.execPath, [script], { env: { ...process.env, ONNXRUNTIME_ROOT: root } }))
        .stdout
    expect(await run(join(library, '..'))).toBe('native\n')
    expect(await run('/nowhere')).toContain('ONNXRUNTIME_ROOT (/nowhere)')
  })
})
