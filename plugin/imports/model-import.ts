import type { Bindings } from '../../runtime/manifest.ts'
import type { CompileOptions } from '../options/schema.ts'
import type { IoPrecision, Shapes } from '../options/types.ts'

/** One import of a model, from the sources or from a bundler. Paths are absolute. */
export interface ModelImport {
  /** The file with the import. */
  readonly importer: string
  /** The text of the import, its query included. */
  readonly specifier: string
  /** The model file. */
  readonly file: string
  /** What a program made of it, where it is not ONNX itself: its header is read instead. */
  readonly onnx?: string
  /** Fixed dims from the options or the query, by input name: they are static in the types. */
  readonly shapes?: Shapes
  /** Precision of float32 inputs and outputs from the options or the query. Default: 'fp32', which leaves them. */
  readonly io?: IoPrecision
  /** Outputs and optional inputs from the options or the query. Default: all outputs, and no optional input. */
  readonly outputs?: readonly string[]
  readonly optionalInputs?: true | readonly string[]
  /** The bindings with those dims and dtypes, if they are known; otherwise the model's header is read. */
  readonly bindings?: Bindings
}

/** The options of an import that its types depend on. */
export function typedOptions({
  shapes,
  precision: { io },
  outputs,
  optionalInputs,
}: CompileOptions): Required<Pick<ModelImport, 'shapes' | 'io' | 'outputs' | 'optionalInputs'>> {
  return { shapes, io, outputs, optionalInputs }
}
