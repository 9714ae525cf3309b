import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '../../plugin/files/temporary-folder.ts'

/** A plan for trtexec, and how it is to run it. */
export interface TrtexecRun {
  readonly plan: string
  /** Release of the TensorRT that trtexec belongs to. */
  readonly version: string
  readonly cudaGraph: boolean
}

/**
 * Milliseconds of a call of a plan by `trtexec`, the median of its `latencyMs` (copies to and from the GPU included);
 * undefined where the program is not on the PATH. Throws when it runs and fails.
 */
export async function trtexecLatency({ plan, version, cudaGraph }: TrtexecRun): Promise<number | undefined> {
  await using folder = await temporaryFolder()
  const times = join(folder.path, 'times.json')
  const flags = version.startsWith('10.') ? flags10(cudaGraph) : flags11(cudaGraph)
  try {
    execFileSync('trtexec', [`--loadEngine=${plan}`, `--exportTimes=${times}`, ...flags], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const calls = JSON.parse(readFileSync(times, 'utf8')) as readonly { readonly latencyMs: number }[]
  return calls.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b)[calls.length >> 1]
}

// TensorRT 10 copies to and from the GPU, and captures no graph, unless it is asked.
function flags10(cudaGraph: boolean): readonly string[] {
  return cudaGraph ? ['--useCudaGraph'] : []
}

// TensorRT 11 does the opposite.
function flags11(cudaGraph: boolean): readonly string[] {
  return ['--includeDataTransfers', ...(cudaGraph ? [] : ['--noCudaGraph'])]
}
