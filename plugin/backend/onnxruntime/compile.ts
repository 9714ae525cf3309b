import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { appendFile, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { OnnxEngineError } from '../../../runtime/errors.ts'
import { engineFooter, weightsName } from '../../../runtime/onnxruntime/large-engine.ts'
import type { ChildTask } from '../../child/contract.ts'
import type { OptimizationLevel } from '../../options/backend-types.ts'

/**
 * The part of onnxruntime-node that the compiler uses. The module is the user's own copy, so it is loaded by its URL.
 */
interface Onnxruntime {
  readonly InferenceSession: {
    create(path: string, options: Record<string, unknown>): Promise<{ release(): Promise<void> }>
  }
}

/**
 * Writes the optimised graph while a session is created, then drops the session. Runs in the compiler's child process.
 */
export const run: ChildTask = async ({ name, model, output, settings }) => {
  const { module, level, format, disabled, large } = settings as OnnxruntimeSettings
  const loaded = (await import(module)) as { default: Onnxruntime }
  try {
    const session = await loaded.default.InferenceSession.create(model, {
      executionProviders: ['cpu'],
      graphOptimizationLevel: level,
      optimizedModelFilePath: output,
      // Errors only: the level's own warning says that the file depends on the hardware, which the requirements carry.
      logSeverityLevel: 3,
      extra: {
        session: {
          save_model_format: format,
          ...(large && { optimized_model_external_initializers_file_name: weightsName }),
        },
        optimization: { disable_specified_optimizers: disabled.join(';') },
      },
    })
    await session.release()
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    if (text !== noBfloat16 || !existsSync(output))
      throw new OnnxEngineError('COMPILE_FAILED', `${name}: ONNX Runtime cannot compile the model: ${text}`, { cause })
  }
  if (large) await appendWeights(output, join(dirname(output), weightsName))
}

/** Makes one file of a model and its weights, as large-engine.ts describes it. */
async function appendWeights(model: string, weights: string): Promise<void> {
  const { size } = await stat(model)
  const sink = () => createWriteStream(model, { flags: 'a' })
  if (existsSync(weights)) await pipeline(createReadStream(weights, { highWaterMark: 2 ** 22 }), sink())
  await appendFile(model, engineFooter(size))
  await rm(weights, { force: true })
}

// onnxruntime-node has no tensors of bfloat16 (16 in ONNX), and says so when it describes the inputs and outputs of a
// session: by then the engine is written. Native sessions run it.
const noBfloat16 = 'Unsupported data type: 16'

/** Settings for the compiling process. A type, not an interface: it is sent as plain data. */
export type OnnxruntimeSettings = {
  /** URL of the ONNX Runtime module. */
  readonly module: string
  readonly level: OptimizationLevel
  readonly format: 'ORT' | 'ONNX'
  /** Optimizers that are left out, by ONNX Runtime's names. */
  readonly disabled: readonly string[]
  /** Whether the weights go behind the model, because they are too long for its format. */
  readonly large: boolean
}
