import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { firstGpu, program } from './machine.ts'

const gpu = await firstGpu()
if ('reason' in gpu) console.warn(`tests of the CUDA driver are skipped: ${gpu.reason}`)

test.skipIf('reason' in gpu)(
  'the CUDA driver does what the runtime asks of it: memory, copies, streams, graphs, threads, errors',
  async () => {
    const output = execFileSync(await program('tensorrt_cuda_test'), { encoding: 'utf8' })
    expect(output).toMatch(/\[ {2}PASSED {2}\] [1-9]\d* tests/)
  },
)

// Builds without a GPU too: what is skipped on most machines must not rot on them.
test.skipIf(!('reason' in gpu))('the programs that need a GPU are compiled, and say what they lack', async () => {
  for (const family of ['rtx', '11', '10'] as const) {
    const loop = await program(`tensorrt_${family}_plain_loop`)
    expect(() => execFileSync(loop, ['library', 'engine', '0', '1', '1'], { stdio: 'pipe' })).toThrow(
      /no NVIDIA driver found|there is no GPU/,
    )
  }
  await program('tensorrt_cuda_test')
})
