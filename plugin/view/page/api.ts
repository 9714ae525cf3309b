import type {
  Comparison,
  EngineProfile,
  EngineView,
  GraphView,
  NodeFact,
  Overview,
  TensorStatistics,
  TryBindings,
  TryRequest,
  TryResult,
} from '../contract.ts'

/** What the server answers, by request. All addresses are relative: the token is in that of the page. */
export const api = {
  overview: () => ask<Overview>('overview', {}),
  graph: (model: string) => ask<GraphView>('graph', { model }),
  statistics: (model: string, initializer: string) => ask<TensorStatistics>('statistics', { model, initializer }),
  engines: () => ask<readonly EngineView[]>('engines', {}),
  nodes: (engine: string) => ask<readonly NodeFact[]>('nodes', { engine }),
  profile: (engine: string) => ask<EngineProfile>('profile', { engine }, { method: 'POST' }),
  compare: (a: string, b: string) => ask<Comparison>('compare', { a, b }),
  bindings: (model: string) => ask<TryBindings>('bindings', { model }),
  run: (target: string, request: TryRequest) =>
    ask<TryResult>('run', { target }, { method: 'POST', body: JSON.stringify(request) }),
} as const

async function ask<T>(name: string, query: Readonly<Record<string, string>>, init?: RequestInit): Promise<T> {
  const response = await fetch(`api/${name}?${new URLSearchParams(query).toString()}`, init)
  const isJson = response.headers.get('content-type')?.startsWith('application/json')
  if (!isJson) throw new Error(await response.text())
  const value = (await response.json()) as T & { readonly error?: string }
  if (!response.ok) throw new Error(value.error ?? response.statusText)
  return value
}
