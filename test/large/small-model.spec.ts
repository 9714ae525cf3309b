import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile } from 'unplugin-onnx'
import { expect, test } from 'vitest'
import { tempFolder } from '../support/helpers.ts'
import { onnxModel } from '../support/models.ts'

const folder = tempFolder()

// Other systems have no file that tells the memory of a process. Here because it takes half a minute and 3.6 GB.
test.skipIf(process.platform !== 'linux')(
  'a model of 136 bytes that asks for 20 GB is stopped with a sentence',
  async () => {
    const file = join(folder, 'm.onnx')
    // The rank of the result is the length of the shape: inferring it makes that many dims.
    const bytes = onnxModel({
      inputs: { x: 'float32[1]', shape: 'int64[500000000]' },
      outputs: { y: 'float32' },
      nodes: [{ op: 'Expand', inputs: ['x', 'shape'], outputs: ['y'] }],
    })
    writeFileSync(file, bytes)
    expect(bytes.length).toBeLessThan(150)
    await expect(compile(file, { root: folder, backends: ['onnxruntime'] })).rejects.toMatchObject({
      code: 'COMPILE_FAILED',
      message: expect.stringMatching(
        /^m: the compiler process was stopped: expected at most 3\.6 GB of memory, 4 times .*Expand or ConstantOfShape/,
      ),
    })
  },
)
