import type { Change, Comparison, EngineView, GraphView } from '../contract.ts'

/** What differs between two versions of a model. Nodes are told apart by their names. */
export function compareGraphs(before: GraphView, after: GraphView): Comparison {
  return {
    groups: [
      { title: 'Inputs and outputs', changes: changes(bindings(before), bindings(after)) },
      { title: 'Nodes', changes: changes(nodes(before), nodes(after)) },
      { title: 'Weights', changes: changes(weights(before), weights(after)) },
    ],
  }
}

/** What differs between two engines. */
export function compareEngines(before: EngineView, after: EngineView): Comparison {
  return {
    groups: [
      { title: 'Figures', changes: changes(figures(before), figures(after)) },
      { title: 'Beside the fp32 model', changes: changes(accuracy(before), accuracy(after)) },
      { title: 'Latency of the last bench', changes: changes(latency(before), latency(after)) },
      { title: 'Facts of the cache key', changes: changes(rows(before.facts), rows(after.facts)) },
      { title: 'Requirements', changes: changes(rows(before.requires), rows(after.requires)) },
    ],
  }
}

type Texts = ReadonlyMap<string, string>

function changes(before: Texts, after: Texts): readonly Change[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => {
    const [old, now] = [before.get(name), after.get(name)]
    if (old === now) return []
    return { name, ...(old !== undefined && { before: old }), ...(now !== undefined && { after: now }) }
  })
}

function bindings({ inputs, outputs }: GraphView): Texts {
  return new Map([...inputs, ...outputs].map(({ name, type }) => [name, type]))
}

function nodes(graph: GraphView): Texts {
  return new Map(
    graph.nodes.map(({ name, op, inputs, outputs, attributes }) => {
      const settings = attributes.map((attribute) => `${attribute.name}=${attribute.value}`).join(' ')
      return [name || (outputs[0] ?? ''), `${op}(${inputs.join(', ')}) ${settings}`]
    }),
  )
}

function weights({ initializers }: GraphView): Texts {
  return new Map(initializers.map(({ name, dtype, dims }) => [name, `${dtype}[${dims.join(',')}]`]))
}

function figures({ backend, precision, bytes, buildSeconds, why, stale }: EngineView): Texts {
  return new Map(Object.entries({ backend, precision, bytes, buildSeconds, why, stale: stale ?? 'no' }).map(text))
}

function accuracy({ verification }: EngineView): Texts {
  return new Map(
    verification.flatMap(({ output, cosine, maxError, isWithinLimits }) => [
      text([`${output}: cosine`, cosine]),
      text([`${output}: largest error`, maxError]),
      text([`${output}: limits`, isWithinLimits ? 'kept' : 'exceeded']),
    ]),
  )
}

function latency({ bench }: EngineView): Texts {
  if (bench === null) return new Map()
  const { at, cpu, concurrency, memory, throughput, ...times } = bench
  const milliseconds = Object.entries(times).map(([name, time]) => [name, `${Number(time.toPrecision(4))} ms`] as const)
  const others = {
    throughput: `${Number(throughput.toPrecision(4))} calls/s`,
    'memory in bytes': memory,
    concurrency,
    cpu,
  }
  return new Map(
    [...milliseconds, ...Object.entries(others), ['measured', new Date(at).toISOString()] as const].map(text),
  )
}

function text([name, value]: readonly [string, unknown]): readonly [string, string] {
  return [name, String(value)]
}

function rows(list: EngineView['facts']): Texts {
  return new Map(list.map(({ name, value }) => [name, value]))
}
