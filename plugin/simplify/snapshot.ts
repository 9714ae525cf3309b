import type { EditableModel } from '../onnx/graph.ts'
import { decodeMessage, encodeMessage } from '../onnx/proto.ts'

/** The structure of a model at one moment. Weights are not in it: contents of a model are only ever added. */
export type Snapshot = Uint8Array

/** Keeps the structure of a model. */
export function snapshot({ proto }: EditableModel): Snapshot {
  return encodeMessage('ModelProto', proto)
}

/** Gives a model the structure that it had. Nodes and graphs are other objects then. */
export function restore({ proto }: EditableModel, bytes: Snapshot): void {
  Object.assign(proto, decodeMessage('ModelProto', bytes))
}
