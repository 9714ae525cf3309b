import { basename, relative } from 'node:path'
import { precisions } from '../../runtime/manifest.ts'
import type {
  BundledModel,
  BundleInspection,
  EngineInspection,
  InspectedBinding,
  Inspection,
  ModelInspection,
  OperatorFacts,
  PrecisionPreflight,
  VariantInspection,
} from '../inspect/contract.ts'
import { type Cell, type Paint, plain, table, wrap } from '../terminal/table.ts'
import { count, formatBytes, shorten } from '../text.ts'

/** Text of `unplugin-onnx inspect`, in at most 100 columns where names allow it. */
export function inspectText(inspection: Inspection, paint: Paint): string {
  return texts[inspection.kind](inspection as never, paint).join('\n')
}

const texts = { model: modelText, engine: engineText, bundle: bundleText }

function modelText(model: ModelInspection, paint: Paint): readonly string[] {
  const { file, size, irVersion, opsets, producer, metadata, bindings, defaults, problems, external, functions } = model
  const opset = Object.entries(opsets).map(
    ([domain, version]) => `${domain === '' ? 'opset' : name(domain)} ${version}`,
  )
  const origin = producer === '' ? '' : `  by ${name(producer)}`
  return [
    `${paint('bold', plain(place(file)))}  ${formatBytes(size)}  IR ${irVersion}  ${opset.join('  ')}${origin}`,
    ...problems.map((problem) => `${paint('red', 'problem')}  ${plain(problem)}`),
    'inputs',
    ...table(bindings.inputs.map(bindingRow), { paint }),
    ...(defaults.length > 0 ? ['inputs with a default', ...table(defaults.map(bindingRow), { paint })] : []),
    'outputs',
    ...table(bindings.outputs.map(bindingRow), { paint }),
    ...weightLines(model),
    ...external.map(({ file: data, length }) => `external data  ${plain(data)}, ${formatBytes(length)}`),
    ...(functions.length > 0 ? [`functions  ${shorten(functions.map(name).join(', '))}`] : []),
    ...metadata.slice(0, mostMetadata).map(({ key, value }) => `metadata  ${name(key)} = ${name(value)}`),
    ...(metadata.length > mostMetadata ? [`metadata  ${metadata.length - mostMetadata} more: --json`] : []),
    ...shapeLines(model),
    ...operatorLines(model, paint),
    ...preflightLines(model, paint),
    `import  ${plain(importLine(file))}`,
  ]
}

// From a file next to the model; in a query, these characters would end the path.
function importLine(file: string): string {
  const own = basename(file)
  const variable = own
    .replace(/\.onnx$/i, '')
    .replace(/[^\w$]+/g, '_')
    .replace(/^(?=\d)|^$/, '_')
  return `import ${variable} from ${JSON.stringify(`./${own}?engine=fp32`).replaceAll('"', "'")}`
}

const mostMetadata = 8

function bindingRow(binding: InspectedBinding): readonly Cell[] {
  if ('problem' in binding) return [name(binding.name), { text: plain(binding.problem), style: 'red' }]
  const { dtype, dims } = binding
  const texts = dims?.map((dim) => (dim === null ? '?' : name(String(dim))))
  return [name(binding.name), texts ? `${dtype}[${texts.join(', ')}]` : `${dtype} of unknown rank`]
}

function weightLines({ weights, initializers }: ModelInspection): readonly string[] {
  const constants = weights.tensors - initializers.length
  const dtypes = weights.byDType.map(({ dtype, bytes }) => `${dtype} ${formatBytes(bytes)}`).slice(0, 4)
  return [
    `initializers  ${initializers.length}${constants > 0 ? ` and ${count(constants, 'constant')}` : ''}, ` +
      `${formatBytes(weights.bytes)}${weights.parameters > 0 ? `, ${si(weights.parameters)} parameters` : ''}` +
      (dtypes.length > 1 ? ` (${dtypes.join(', ')})` : ''),
  ]
}

function shapeLines({ shapes, multiplyAdds, peakActivations }: ModelInspection): readonly string[] {
  const { inputs, assumed, open, missing } = shapes
  const dims = Object.entries(inputs).map(([input, sizes]) => `${name(input)}:${sizes.join('x') || 'scalar'}`)
  const hint = open.length > 0 ? `: ${shorten(open.map(name).join(', '))}. Give --shapes` : ''
  if (missing !== undefined) return [`shapes  unknown, because ${missing}${hint}`]
  const guess = assumed.length > 0 ? `, where ${shorten(assumed.map(name).join(', '))} is taken as 1` : ''
  return [
    `shapes  ${shorten(dims.join(', '))}${guess}`,
    `multiply-adds  ${multiplyAdds === null ? 'unknown' : si(multiplyAdds)}`,
    `peak of activations  ${peakActivations === null ? 'unknown' : formatBytes(peakActivations)}`,
  ]
}

const mostOperators = 12

function operatorLines({ operators, weights, multiplyAdds }: ModelInspection, paint: Paint): readonly string[] {
  const body = operators
    .slice(0, mostOperators)
    .map((row): Cell[] => [
      operatorName(row),
      String(row.count),
      share(row.weightBytes, weights.bytes),
      multiplyAdds === null ? addsText(row) : share(row.multiplyAdds ?? 0, multiplyAdds),
    ])
  const rest = operators.slice(mostOperators).reduce((sum, row) => sum + row.count, 0)
  const heads = ['operators', 'nodes', 'weights', 'multiply-adds'].map((text): Cell => ({ text, style: 'dim' }))
  return [
    ...table([heads, ...body], { paint, right: [1, 2, 3] }),
    ...(rest > 0 ? [`  ${count(rest, 'node')} of ${count(operators.length - mostOperators, 'other operator')}`] : []),
  ]
}

function operatorName({ operator, domain }: OperatorFacts): string {
  return domain === '' ? name(operator) : `${name(domain)}.${name(operator)}`
}

function addsText({ multiplyAdds }: OperatorFacts): string {
  return multiplyAdds === undefined ? 'unknown' : si(multiplyAdds)
}

function preflightLines({ file, preflight }: ModelInspection, paint: Paint): readonly string[] {
  if (preflight.length === 0) return []
  const notes: string[] = []
  const note = (text: string): string => {
    const at = notes.includes(text) ? notes.indexOf(text) : notes.push(text) - 1
    return `[${at + 1}]`
  }
  const rows = preflight.map(({ backend, version, unavailable, precisions: cells }): readonly Cell[] => {
    if (version === undefined) return [backend, { text: `not here: ${unavailable}`, style: 'dim' }]
    return [`${backend} ${version.split('-', 1)[0]}`, ...cells.map((cell) => preflightCell(cell, note))]
  })
  const heads = ['would compile', ...precisions].map((text): Cell => ({ text, style: 'dim' }))
  // The file is in the first line already.
  const lines = notes.flatMap((text, index) => wrap(`  [${index + 1}] ${plain(text.replace(`${file}: `, ''))}`, 6))
  return [...table([heads, ...rows], { paint }), ...lines]
}

function preflightCell({ refused, lowering, unknown }: PrecisionPreflight, note: (text: string) => string): Cell {
  if (refused !== undefined) return { text: `no ${note(refused)}`, style: 'yellow' }
  if (unknown !== undefined) return `yes ${note(unknown)}`
  if (!lowering) return 'yes'
  const { unit, total, lowered, kept } = lowering
  const reasons = kept.map(({ reason, count: times }) => `${times}: ${reason}`)
  const marks = reasons.length > 0 ? ` ${note(`${unit} kept in fp32: ${shorten(reasons.join('; '), 300)}`)}` : ''
  return `${lowered}/${total} ${unit}${marks}`
}

function engineText({ file, size, backend, format, facts, manifest, entry }: EngineInspection): readonly string[] {
  return [
    `${plain(place(file))}  ${formatBytes(size)}  ${format}`,
    ...table([['backend', backend], ...Object.entries(facts).map(([key, value]) => [name(key), plain(value)])]),
    ...(manifest === undefined ? ['no manifest next to it lists it'] : [`listed in ${plain(place(manifest))}`]),
    ...(entry ? variantFacts(entry).map((line) => `  ${line}`) : []),
  ]
}

function bundleText({ path, models, unlisted }: BundleInspection, paint: Paint): readonly string[] {
  return [
    `${paint('bold', plain(path))}  ${count(models.length, 'model')}`,
    ...models.flatMap((model) => bundledText(model, paint)),
    ...unlisted.map((file) => `${paint('yellow', 'in no manifest')}  ${plain(file)}`),
  ]
}

function bundledText(
  { name: model, source, bindings, variants, taken }: BundledModel,
  paint: Paint,
): readonly string[] {
  const inputs = bindings.inputs.map(bindingRow)
  const outputs = bindings.outputs.map(bindingRow)
  return [
    '',
    `${paint('bold', name(model))}  in ${plain(source)}`,
    ...table([...inputs.map((row) => ['input', ...row]), ...outputs.map((row) => ['output', ...row])], { paint }),
    ...variants.flatMap((variant, index) => {
      const { backend, engine, size, file } = variant
      const mark = index === taken ? paint('green', '  taken on this machine') : ''
      return [
        `  ${backend} ${engine}  ${formatBytes(size)}${mark}`,
        ...variantFacts(variant, file).map((line) => `    ${line}`),
      ]
    }),
    ...(taken === null ? [paint('red', '  this machine can run none of them')] : []),
  ]
}

function variantFacts({ verified, requires, checksum, refused }: VariantInspection, file?: string): readonly string[] {
  const needs = Object.entries(requires).map(([key, value]) => `${key} ${requirementText(value)}`)
  return [
    ...(file === undefined ? [] : [plain(place(file))]),
    `requires ${plain(needs.join(', '))}`,
    `checksum ${checksum}, ${verified ? 'verified' : 'not verified'}`,
    ...(refused === undefined ? [] : [`refused here: ${plain(refused)}`]),
  ]
}

function requirementText(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** A path as short as it can be: relative, if it is below the current folder. */
function place(file: string): string {
  const path = relative('.', file)
  return path.startsWith('..') || path === '' ? file : path
}

/** A name for the terminal: those of hostile models are long, or control it. */
function name(text: string): string {
  return plain(shorten(text, 60))
}

function share(part: number, whole: number): string {
  if (whole === 0 || part === 0) return ''
  return part / whole < 0.001 ? '<0.1%' : `${((100 * part) / whole).toFixed(1)}%`
}

/** A number with a unit: 1.23 M. */
function si(value: number): string {
  const units = ['', ' k', ' M', ' G', ' T', ' P']
  const power = Math.min(Math.max(Math.floor(Math.log10(value || 1) / 3), 0), units.length - 1)
  return `${power === 0 ? value : (value / 1000 ** power).toPrecision(3)}${units[power]}`
}
