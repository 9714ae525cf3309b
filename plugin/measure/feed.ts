import type { CheckedTensor } from '../../runtime/session.ts'
import type { Sample } from '../samples/read.ts'

/** The part of onnxruntime-node that runs models in the child processes of this room. */
export interface Onnxruntime {
  readonly InferenceSession: { create(path: string, options: Record<string, unknown>): Promise<Session> }
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => unknown
}

export interface Session {
  run(feeds: Feeds, fetches?: readonly string[]): Promise<Results>
  release(): Promise<void>
}

export type Feeds = Readonly<Record<string, unknown>>

export type Results = Record<
  string,
  { readonly type: string; readonly dims: readonly number[]; readonly data: unknown }
>

/** A sample as ONNX Runtime takes it. */
export function feedsOf({ Tensor }: Onnxruntime, sample: Sample): Feeds {
  return Object.fromEntries([...sample].map(([name, { dtype, data, dims }]) => [name, new Tensor(dtype, data, dims)]))
}

/** All outputs of a model for a sample, by name. */
export async function infer(
  ort: Onnxruntime,
  session: Session,
  sample: Sample,
): Promise<ReadonlyMap<string, CheckedTensor>> {
  const outputs = Object.entries(await session.run(feedsOf(ort, sample)))
  return new Map(outputs.map(([name, { type, dims, data }]) => [name, { dtype: type, dims, data } as CheckedTensor]))
}

/** Threads that spin while they wait would take the time of the one that counts the results. */
export const quiet = { extra: { session: { intra_op: { allow_spinning: '0' } } } } as const
