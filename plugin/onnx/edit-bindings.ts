import { OnnxEngineError } from '../../runtime/errors.ts'
import type { InputDefault } from '../../runtime/manifest.ts'
import { quote } from '../text.ts'
import { readContent } from './bytes.ts'
import { tensorContent } from './content.ts'
import type { GraphEdits } from './graph-edits.ts'
import { type EditableModel, indexScope, loadGraph, reads } from './graph.ts'
import type { Node } from './proto.ts'
import { tensorType } from './tensor.ts'
import { writeGraph } from './write.ts'

/** Writes a copy of a model with these edits, without the nodes and weights that no output needs. */
export async function writeEdited(source: string, edits: GraphEdits, target: string): Promise<void> {
  const graph = await loadGraph(source)
  editBindings(graph, edits)
  await writeGraph({ ...graph, external: false }, target)
}

/** Changes the outputs and inputs of a graph in place. */
export function editBindings({ proto: { graph } }: EditableModel, { outputs, inputs }: GraphEdits): void {
  const opened = new Set(inputs)
  graph.initializer = graph.initializer.filter(({ name }) => !opened.has(name))
  // Behind the others, as in the bindings: some libraries know inputs by their place.
  const isOpened = ({ name }: { readonly name: string }) => opened.has(name)
  graph.input = [...graph.input.filter((input) => !isOpened(input)), ...graph.input.filter(isOpened)]
  if (outputs.length === 0) return
  const wanted = new Set(outputs)
  graph.output = graph.output.filter(({ name }) => wanted.has(name))
  const { producers } = indexScope({ graph })
  const needed = new Set(graph.output.map(({ name }) => name))
  const kept = new Set<Node>()
  // A set is iterated in the order of its insertion, what is added meanwhile included.
  for (const name of needed) {
    const node = producers.get(name)
    if (!node || kept.has(node)) continue
    kept.add(node)
    for (const input of reads(node)) needed.add(input)
  }
  graph.node = graph.node.filter((node) => kept.has(node))
  graph.initializer = graph.initializer.filter(({ name }) => needed.has(name))
  graph.sparseInitializer = graph.sparseInitializer.filter(({ values }) => needed.has(values?.name ?? ''))
  graph.valueInfo = graph.valueInfo.filter(({ name }) => needed.has(name))
}

/** The values of initializers that are inputs as well, by name. Throws MODEL_UNSUPPORTED for those without bytes. */
export async function readDefaults(file: string, names: readonly string[]): Promise<ReadonlyMap<string, InputDefault>> {
  const model = await loadGraph(file)
  const defaults = new Map<string, InputDefault>()
  for (const name of names) {
    const tensor = model.proto.graph.initializer.find((initializer) => initializer.name === name)
    const type = tensor && tensorType(tensor)
    const content = tensor && tensorContent(model, tensor)
    if (!type || !content) {
      throw new OnnxEngineError('MODEL_UNSUPPORTED', `${file}, input ${quote(name)}`, {
        expected: 'a default that is a dense tensor of numbers',
        received: 'another one',
        hint: "Leave it out of the option 'optionalInputs'",
      })
    }
    defaults.set(name, { dims: type.dims, data: Buffer.from(await readContent(content)).toString('base64') })
  }
  return defaults
}
