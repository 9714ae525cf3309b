import { execFile } from 'node:child_process'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createModel } from 'unplugin-onnx/runtime'
import { describe, expect, test } from 'vitest'
import { compile } from '../../plugin/api.ts'
import { modelManifest } from '../../plugin/compile/manifest.ts'
import type { ConvertRule } from '../../plugin/options/convert-types.ts'
import { tempFolder } from '../support/helpers.ts'
import { orSkip, pythonWith, repository } from '../support/python.ts'

const scripts = join(repository, 'test', 'convert', 'scripts')
const python = await orSkip('converters of Python', () =>
  pythonWith(join(repository, 'test', 'convert', 'requirements.txt')),
)

describe.skipIf(python === undefined)('the routes of docs/convert.md', () => {
  const folder = tempFolder()

  async function outputsOf(file: string, ending: string, rule: ConvertRule) {
    const compiled = await compile(file, { root: folder, backends: ['onnxruntime'], convert: { [ending]: rule } })
    await using model = createModel(
      modelManifest(
        compiled,
        compiled.variants.map(({ artifact }) => artifact.file),
      ),
    )
    const data = Float32Array.of(5.1, 3.5, 1.4, 0.2, 6.2, 2.8, 4.8, 1.8, 6.7, 3, 5.2, 2.3)
    return model.infer({ features: { data, dims: [3, 4] } })
  }

  test('a forest of scikit-learn gives its own predictions', async () => {
    const forest = join(folder, 'forest.joblib')
    const train = `
import joblib, json, sys
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
forest = RandomForestClassifier(5, random_state=0).fit(*load_iris(return_X_y=True))
joblib.dump(forest, sys.argv[1])
rows = [[5.1, 3.5, 1.4, 0.2], [6.2, 2.8, 4.8, 1.8], [6.7, 3, 5.2, 2.3]]
print(json.dumps([forest.predict(rows).tolist(), forest.predict_proba(rows).ravel().tolist()]))
`
    const { stdout } = await promisify(execFile)(python!, ['-c', train, forest])
    const [labels, probabilities] = JSON.parse(stdout) as [number[], number[]]
    const command = [python!, join(scripts, 'sklearn_to_onnx.py'), '{input}', '{output}']
    const outputs = await outputsOf(forest, '.joblib', { command })
    expect(Array.from(outputs['label']?.data as BigInt64Array, Number)).toEqual(labels)
    const given = Array.from(outputs['probabilities']?.data as Float32Array)
    expect(given).toEqual(probabilities.map((value) => expect.closeTo(value, 5)))
  })

  test('a network written in code by onnx.helper runs', async () => {
    const network = join(folder, 'network.py')
    copyFileSync(join(scripts, 'network.py'), network)
    const outputs = await outputsOf(network, '.py', {
      command: [python!, '{input}', '{output}'],
      version: [python!, '--version'],
      rename: { scores: 'probabilities' },
    })
    const rows = Array.from(outputs['probabilities']?.data as Float32Array)
    expect(rows).toHaveLength(9)
    expect((rows[0] ?? 0) + (rows[1] ?? 0) + (rows[2] ?? 0)).toBeCloseTo(1, 5)
  })
})
