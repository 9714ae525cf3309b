import type { Layer, LayerTensor } from '../layers.ts'

/** The message of a builder that lists the layers of the finished engine. */
export function listsLayers(message: string): boolean {
  return message.startsWith('Layers:\n')
}

/** The layers in such a message; a line of another form is left out. */
export function layersOf(message: string): Layer[] {
  return message.split('\n').flatMap((line) => {
    const found = form.exec(line)?.groups
    if (!found) return []
    const { name = '', kind = '', inputs = '', outputs = '', tactic = '', origins = '' } = found
    const nodes = origins.split(separator).flatMap((origin) => /^\[ONNX Layer: (.*)\]$/.exec(origin)?.[1] ?? [])
    return [{ name, kind, tactic, inputs: tensorsOf(inputs), outputs: tensorsOf(outputs), nodes }]
  })
}

/** Between the nodes of a layer: the unit separator of ASCII. */
const separator = String.fromCodePoint(0x1f)

const form =
  /^Name: (?<name>.*?), LayerType: (?<kind>.*?), Inputs: \[(?<inputs>.*?)\], Constants: .*?, Outputs: \[(?<outputs>.*?)\], TacticName: (?<tactic>.*?), StreamId: .*?, Metadata: (?<origins>.*)$/

function tensorsOf(text: string): LayerTensor[] {
  const form = /\{ Name: (.*?), Dimensions: \[(.*?)\].*?Datatype: (.*?), Format: (.*?) \}/g
  return Array.from(text.matchAll(form), ([, name = '', dims = '', dtype = '', format = '']) => ({
    name,
    dtype,
    dims: dims.replaceAll(',', 'x'),
    format,
  }))
}
