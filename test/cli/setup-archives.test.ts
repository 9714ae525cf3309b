// `setup --from` with the real archives of .vendor, which the build of the addons has downloaded.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { openvinoVersion } from '../../native/openvino-wheels.ts'
import { tensorrtRtxVersion } from '../../native/tensorrt-wheels.ts'
import { openvino } from '../../plugin/backend/openvino/backend.ts'
import { tensorrtRtx } from '../../plugin/backend/tensorrt/backend.ts'
import type { InstallableName } from '../../plugin/cli/installables.ts'
import { listSetups, removeSetups, setUpLibrary } from '../../plugin/cli/set-up-library.ts'
import { compileOptions, resolveOptions } from '../../plugin/options/resolve.ts'
import { tempFolder } from '../support/helpers.ts'
import { root } from '../support/openvino-models.ts'

const wheels = join(root, '.vendor', 'downloads')
const archives: readonly (readonly [InstallableName, string, string])[] = [
  ['openvino', `openvino-${openvinoVersion}-`, openvinoVersion],
  ['tensorrt-rtx', `tensorrt_rtx_cu13_libs-${tensorrtRtxVersion}-`, tensorrtRtxVersion],
]
const probes = { openvino: openvino.probe, 'tensorrt-rtx': tensorrtRtx.probe } as const

beforeEach(() => {
  const folder = tempFolder()
  for (const name of ['XDG_CACHE_HOME', 'LOCALAPPDATA', 'HOME']) vi.stubEnv(name, folder)
  for (const name of ['OPENVINO_ROOT', 'TENSORRT_RTX_ROOT', 'CUDA_PATH', 'LD_LIBRARY_PATH']) vi.stubEnv(name, '')
})

describe.each(archives)('setup %s --from', (library, prefix, version) => {
  const name = existsSync(wheels) ? readdirSync(wheels).find((entry) => entry.startsWith(prefix)) : undefined
  if (name === undefined) console.warn(`setup ${library} --from is not tested: ${wheels} has no ${prefix}*`)

  test.skipIf(name === undefined)('unpacks a real wheel, whose library is found and loads', async () => {
    const installed = await setUpLibrary(library, { from: join(wheels, name!) })
    expect(await listSetups()).toMatchObject([{ library, folder: installed }])
    const options = compileOptions(resolveOptions({}, root), { file: 'model.onnx', query: {} })
    const found = await probes[library as keyof typeof probes](options, root)
    expect(found).toMatchObject({ available: true, version: expect.stringContaining(version) })
    expect(await removeSetups(library)).toHaveLength(1)
  })
})
