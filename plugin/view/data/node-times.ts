/** Time of each node of an engine, in microseconds over `runs` runs, without that of its bodies. */
export type NodeTimes = {
  readonly runs: number
  readonly nodes: readonly {
    readonly name: string
    readonly op: string
    /** In its graph or body. */
    readonly index: number
    readonly time: number
  }[]
}

/** An event of ONNX Runtime's profile, of a node or else; `ts` and `dur` are in microseconds. */
export interface ProfileEvent {
  readonly cat: string
  readonly name: string
  readonly ts: number
  readonly dur: number
  readonly args?: { readonly op_name?: string; readonly node_index?: string }
}

const ending = '_kernel_time'

/**
 * The times of all nodes of a profile, in all runs but the first, which prepares what the others reuse. The time of an
 * If, Loop or Scan in a profile includes its bodies, whose nodes are listed too.
 */
export function timesOf(events: readonly ProfileEvent[]): NodeTimes['nodes'] {
  const times = new Map<string, NodeTimes['nodes'][number]>()
  const ended: ProfileEvent[] = []
  const first = events.findIndex(({ name }) => name === 'model_run')
  for (const event of events.slice(first + 1)) {
    const { cat, ts, dur, args } = event
    if (cat !== 'Node' || !event.name.endsWith(ending)) continue
    let own = dur
    // Events come in the order in which nodes end: those that began since this one began are of its bodies.
    while ((ended.at(-1)?.ts ?? -1) >= ts) own -= ended.pop()?.dur ?? 0
    ended.push(event)
    const node = { name: event.name.slice(0, -ending.length), op: args?.op_name ?? '', index: Number(args?.node_index) }
    const key = JSON.stringify(node)
    // Below 0 by rounding.
    times.set(key, { ...node, time: (times.get(key)?.time ?? 0) + Math.max(0, own) })
  }
  return [...times.values()]
}
