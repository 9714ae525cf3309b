import { temporaryFolder } from '../files/temporary-folder.ts'
import type { EditableModel } from '../onnx/graph.ts'
import { emulateHalf } from '../precision/half/emulate.ts'
import { widenIo } from '../precision/io.ts'
import { lowerModel } from '../precision/lower.ts'
import type { Lowered, PassRequest, PrecisionPass } from '../precision/pass.ts'
import { findBlame } from './blame.ts'
import { compareCandidate, type ComparisonOptions, type Contest } from './compare-candidate.ts'
import { describeCulprits } from './culprits.ts'
import type { ContestRequest } from './request.ts'
import { distanceOf, judge, type Verification } from './verdict.ts'
import type { VerifyResult } from './verify-child.ts'

/**
 * Compares the fp32 model with the lowered graph, which ONNX Runtime's CPU runs: instead of an engine that this machine
 * cannot run, and to try what happens when some nodes and weights stay in fp32.
 *
 * @param pinned names that stay in fp32, besides those of the options
 */
export async function compareLowered(
  contest: Contest<ContestRequest>,
  pinned: readonly string[],
  options: ComparisonOptions = {},
): Promise<VerifyResult> {
  const { request } = contest
  const { pass, name } = request
  if (!pass) throw new TypeError(`${name}: nothing was lowered`)
  const { precision } = request.options
  const fp32 = [...precision.fp32, ...pinned]
  const silent = { ...request, options: { ...request.options, precision: { ...precision, fp32 } }, log: () => {} }
  await using folder = await temporaryFolder()
  const { file } = await lowerModel(emulating(pass), silent, { into: folder.path })
  // Awaited here: the folder is removed when this function returns.
  return await compareCandidate(contest, { onnx: file }, options)
}

function emulating(pass: PrecisionPass): PrecisionPass {
  return { describe: pass.describe, lower: (graph, request) => emulateLowered(graph, { ...request, pass }) }
}

/** Lowers a graph, which ONNX Runtime's CPU then runs as a GPU would: with every result rounded, in fp32. */
export async function emulateLowered(
  graph: EditableModel,
  request: PassRequest & Pick<ContestRequest, 'pass'>,
): Promise<Lowered> {
  const { pass, name, model, options } = request
  if (!pass) throw new TypeError(`${name}: nothing was lowered`)
  const lowered = await pass.lower(graph, request)
  // What is left as it is may hold 16 bits of its own, which the reference computes in the same way.
  if (lowered.lowered > 0) emulateHalf(graph)
  await widenIo(graph, model.bindings, options.precision.io)
  return lowered
}

/**
 * Searches the nodes and weights that cause a difference.
 *
 * @param changed names that the pass lowered
 * @param emulated whether the lowered graph itself has just failed, so that it need not be tried again
 */
export async function findCulprits(
  contest: Contest,
  changed: readonly string[],
  emulated: boolean,
): Promise<Pick<Verification, 'blame' | 'spread'>> {
  const { request, late } = contest
  const { pass, log, name, signal, model } = request
  if (!pass) return noBlame
  log(`${name}: too far from the fp32 model; looking for the nodes to blame`)
  const attempt = async <T>(trial: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await trial()
    } catch (error) {
      // The engine is too far whatever the search finds: an error that ends the search must not hide that.
      if (signal?.aborted) throw error
      return otherwise
    }
  }
  const isFine = async (pinned: readonly string[]) => {
    if (emulated && pinned.length === 0) return false
    return judge(await compareLowered(contest, pinned), request).length === 0
  }
  const { names, spread } = await findBlame(changed, {
    isFine: (pinned) => attempt(() => isFine(pinned), false),
    errorOf: (pinned) => attempt(async () => distanceOf(await compareLowered(contest, pinned, { limit: 1 })), Infinity),
    outOfTime: () => late.signal.aborted,
  })
  if (names.length === 0) return noBlame
  const blame = await describeCulprits(model.file, names)
  return { blame, spread: spread.length > 0 ? { of: changed.length, worst: spread } : null }
}

const noBlame: Pick<Verification, 'blame' | 'spread'> = { blame: [], spread: null }
