import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { queryOf } from '../api.ts'
import { openStore } from '../cache/store.ts'
import { enginesToCompare, type EngineToCompare } from '../compile/compare-engines.ts'
import type { CompileRequest } from '../compile/request.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { compileOptions, resolveOptions } from '../options/resolve.ts'
import type { Options } from '../options/types.ts'
import { compareCandidate, type ComparisonOptions, type Contest } from '../verify/compare-candidate.ts'
import { compareNodes, type NodeComparison } from '../verify/compare-nodes.ts'
import { compareLowered } from '../verify/lowered-candidate.ts'
import { type EngineReport, measureEngine } from '../verify/report.ts'
import { opponentOf, runsHere, type VerifyRequest } from '../verify/request.ts'
import { findContest } from '../verify/verify.ts'
import { checkSaveFolder, saveTensors } from './save-tensors.ts'

/** What the command compares. */
export interface ComparisonWishes {
  readonly options: Options
  /** Options of the engine to compare with; undefined for the fp32 model. */
  readonly against: Options | undefined
  readonly allNodes: boolean
  /** Folder for all tensors. */
  readonly save: string | undefined
}

/** An engine that was compared, and all that was found. */
export interface ComparedEngine extends EngineReport {
  readonly request: VerifyRequest
  /** What it was compared with, in words. */
  readonly against: string
  /** Lines of the comparison: the last one is the summary. */
  readonly lines: readonly string[]
  /** The values inside the model, in the order of the nodes; undefined when nobody asked. */
  readonly nodes: readonly NodeComparison[] | undefined
  /** Paths of the files with tensors. */
  readonly saved: readonly string[]
}

/**
 * Builds the engines of a model, through the same cache as a build, and compares each. Those that differ are in the
 * result.
 *
 * @throws OnnxEngineError with any code of a build; OUTPUT_FAILED for a folder that cannot be written
 */
export async function compareEngines(file: string, wishes: ComparisonWishes): Promise<readonly ComparedEngine[]> {
  const { options, against, save } = wishes
  if (save !== undefined) await checkSaveFolder(save)
  const resolved = resolveOptions(options)
  const store = openStore({ ...resolved.cache, frozen: resolved.frozen, warn: console.error })
  const context = { store, log: console.error, warn: console.error, verbose: resolved.verbose }
  const engines = await enginesToCompare(requestOf(file, options), against && requestOf(file, against), context)
  const compared: ComparedEngine[] = []
  for (const engine of engines) compared.push(await compareOne(engine, wishes))
  await store.collect()
  return compared
}

function requestOf(file: string, user: Options): CompileRequest {
  const resolved = resolveOptions(user)
  const path = resolve(file)
  const options = compileOptions(resolved, { file: path, query: {} })
  return { file: path, query: queryOf(options), options, convert: resolved.convert, root: resolved.root }
}

async function compareOne(
  { request, lowering }: EngineToCompare,
  { allNodes, save }: ComparisonWishes,
): Promise<ComparedEngine> {
  const lines: string[] = []
  const quiet = { ...request, log: (line: string) => void lines.push(line) }
  const report = await measureEngine(quiet, lowering)
  const result = { ...report, request, against: opponentOf(request), lines }
  const found = await findContest(quiet)
  const nothing = 'reason' in found || !report.verification || report.verification.skipped !== undefined
  if (nothing || (!allNodes && save === undefined)) return { ...result, nodes: undefined, saved: [] }
  await using folder = await temporaryFolder()
  const folders: string[] = []
  const nextOptions = async () => {
    if (save === undefined) return {}
    const keep = join(folder.path, String(folders.length))
    await mkdir(keep)
    folders.push(keep)
    return { keep }
  }
  const { contest } = found
  if (save !== undefined) await keepOutputs(contest, await nextOptions())
  const nodes = allNodes ? await compareNodes(contest, nextOptions) : undefined
  const saved = save === undefined ? [] : await saveTensors(save, request, folders)
  return { ...result, nodes, saved }
}

/** Compares the engine itself once more, to keep its tensors: the verdict may have come from the cache. */
async function keepOutputs(contest: Contest, options: ComparisonOptions): Promise<void> {
  const { request } = contest
  if (runsHere.has(request.backend)) await compareCandidate(contest, { manifest: request.manifest }, options)
  else await compareLowered(contest, [], options)
}
