import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Binding } from '../../runtime/manifest.ts'
import { namedDims } from '../options/engine-bindings.ts'
import type { Shapes } from '../options/types.ts'
import { runForJson } from '../samples/run-for-json.ts'
import type { ShapeFacts } from './contract.ts'
import type { InferredShapes, ShapeSettings } from './shapes-child.ts'

/** The dims of values by name; only those that are static. */
export type KnownShapes = ReadonlyMap<string, readonly number[]>

/**
 * The dims of the inputs that all figures are for: those of the options and of the model. An open first dim is a batch
 * and counts as 1; other open dims have no good guess.
 */
export function inputShapes(inputs: readonly Binding[], shapes: Shapes): ShapeFacts {
  const named = namedDims(inputs, shapes)
  const assumed: string[] = []
  const open: string[] = []
  const entries = inputs.flatMap(({ name, dims }): [string, readonly number[]][] => {
    const given = Object.hasOwn(shapes, name) ? shapes[name] : undefined
    if (given) return [[name, given]]
    if (!dims) {
      open.push(`${name} of unknown rank`)
      return []
    }
    const sizes = dims.map((dim, axis) => {
      const known = typeof dim === 'string' ? named.get(dim) : (dim ?? undefined)
      if (known !== undefined) return known
      const list = axis === 0 ? assumed : open
      list.push(`${name}[${axis}]${dim === null ? '' : ` ${dim}`}`)
      return 1
    })
    return [[name, sizes]]
  })
  return { inputs: Object.fromEntries(entries), assumed, open }
}

/** What inferring shapes needs. */
export interface ShapeRequest {
  readonly name: string
  readonly file: string
  readonly inputs: Shapes
  /** File URL of the ONNX Runtime module. */
  readonly module: string
}

/** The static shapes of all values of a model, or why there are none. Infers them in a child process. */
export async function inferShapes(request: ShapeRequest): Promise<KnownShapes | string> {
  const { name, file, inputs, module } = request
  const settings = { module, shapes: inputs } satisfies ShapeSettings
  const worker = new URL('./shapes-child.js', import.meta.url)
  try {
    const inferred = await runForJson(worker, { name, model: file, settings }, { what: 'inspecting' })
    const shapes = inferred as unknown as InferredShapes
    return new Map(shapes.flatMap(([value, dims]) => (isStatic(dims) ? [[value, dims] as const] : [])))
  } catch (error) {
    if (error instanceof OnnxEngineError) return error.message
    throw error
  }
}

function isStatic(dims: readonly (number | null)[]): dims is readonly number[] {
  return !dims.includes(null)
}
