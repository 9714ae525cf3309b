import type { Bindings } from '../../runtime/manifest.ts'
import type { Shapes, IoPrecision } from '../options/types.ts'

/** One import of a model that was found in the sources or seen by a bundler. Paths are absolute. */
export interface ModelImport {
  /** The file that holds the import. */
  readonly importer: string
  /** The text of the import, its query included. */
  readonly specifier: string
  /** The model file. */
  readonly file: string
  /** Dims that the options or the query fix, by input name: they are static in the types. */
  readonly shapes?: Shapes
  /** What float32 inputs and outputs become by the options or the query. Default: 'fp32', they stay. */
  readonly io?: IoPrecision
  /** The bindings with those dims and dtypes, when they are known; otherwise the model is read. */
  readonly bindings?: Bindings
}
