import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ort from 'onnxruntime-node'
import type { Attack } from './contract.ts'
import { classifier, compileIn } from './workshop.ts'

/** A cache on a disk that is full after the first bytes, or in the middle of an engine. */
export const disks: Attack = {
  claim: 'a disk that fills up costs a warning that names it, not the build',
  skipped: () => {
    if (process.platform !== 'linux') return 'a small disk of its own is made on Linux only'
    return process.getuid?.() === 0 ? undefined : 'a small disk of its own takes root'
  },
  async open({ random, folder, onEnd }) {
    const mount = join(folder, 'disk')
    mkdirSync(mount)
    onEnd(() => spawnSync('umount', ['-l', mount]))
    return async () => {
      const size = 8192 + random.below(1_200_000)
      const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'none', mount])
      if (status !== 0) throw new Error(`no disk could be made: ${stderr}`)
      try {
        const warnings: string[] = []
        const { variants } = await compileIn(join(mount, 'cache'), classifier, warnings)
        const { file } = variants[0]!.artifact
        await (await ort.InferenceSession.create(readFileSync(file))).release()
        const isOutside = !file.startsWith(mount)
        const named = warnings.some((line) => line.includes(mount))
        return isOutside === named ? undefined : `${size} bytes: engine ${file}, warnings ${warnings.join()}`
      } finally {
        spawnSync('umount', ['-l', mount])
      }
    }
  },
}
