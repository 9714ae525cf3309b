import { OnnxEngineError } from '../../runtime/errors.ts'
import { renameReads } from '../onnx/edit.ts'
import { type EditableModel, indexScope, scopesOf } from '../onnx/graph.ts'
import { type Message, newMessage } from '../onnx/proto.ts'
import type { ConvertStep } from '../options/convert-schema.ts'
import { quote } from '../text.ts'

/** Gives inputs and outputs, and their dims, the names that an exporter lost. Throws OPTION_INVALID. */
export function amend(
  model: EditableModel,
  { rename, dims }: Pick<ConvertStep, 'rename' | 'dims'>,
  where: string,
): void {
  renameBindings(model, new Map(Object.entries(rename)), where)
  nameDims(model, dims, where)
}

function renameBindings(model: EditableModel, names: ReadonlyMap<string, string>, where: string): void {
  if (names.size === 0) return
  const { graph } = model.proto
  const bindings = [...graph.input, ...graph.output].map(({ name }) => name)
  const taken = new Set([...valuesOf(model)].filter((name) => !names.has(name)))
  for (const [old, next] of names) {
    if (!bindings.includes(old)) throw unknownBinding(`${where}: rename`, old, bindings)
    if (taken.has(next))
      throw new OnnxEngineError('OPTION_INVALID', `${where}: rename.${old}`, {
        expected: 'a name that no other value of the graph has',
        received: quote(next),
      })
    taken.add(next)
  }
  const renamed = (name: string) => names.get(name) ?? name
  const [main] = scopesOf(model)
  if (main) renameReads(main, names)
  for (const node of graph.node) node.output = node.output.map(renamed)
  for (const named of [...graph.input, ...graph.output, ...graph.valueInfo, ...graph.initializer])
    named.name = renamed(named.name)
}

function valuesOf(model: EditableModel): ReadonlySet<string> {
  const names = scopesOf(model).flatMap((scope) => [
    ...scope.graph.input.map(({ name }) => name),
    ...indexScope(scope).producers.keys(),
    ...indexScope(scope).constants.keys(),
  ])
  return new Set(names)
}

function nameDims({ proto: { graph } }: EditableModel, dims: ConvertStep['dims'], where: string): void {
  const bindings = [...graph.input, ...graph.output]
  for (const [name, given] of Object.entries(dims)) {
    const place = `${where}: dims.${name}`
    const binding = bindings.find((candidate) => candidate.name === name)
    if (!binding)
      throw unknownBinding(
        `${where}: dims`,
        name,
        bindings.map((candidate) => candidate.name),
      )
    const shape = binding.type?.tensorType?.shape
    if (shape && shape.dim.length !== given.length)
      throw new OnnxEngineError('OPTION_INVALID', place, {
        expected: `${shape.dim.length} names or nulls, one for each dim`,
        received: String(given.length),
      })
    if (!binding.type?.tensorType) continue
    binding.type.tensorType.shape = newMessage('TensorShapeProto', {
      dim: given.map((dim, axis) =>
        dim === null ? (shape?.dim[axis] ?? newMessage('DimensionProto', {})) : namedDim(dim),
      ),
    })
  }
}

function namedDim(name: string): Message<'DimensionProto'> {
  return newMessage('DimensionProto', { dimParam: name })
}

function unknownBinding(place: string, name: string, bindings: readonly string[]): OnnxEngineError {
  return new OnnxEngineError('OPTION_INVALID', place, {
    expected: `one of the inputs and outputs that the program gave: ${bindings.map(quote).join(', ')}`,
    received: quote(name),
  })
}
