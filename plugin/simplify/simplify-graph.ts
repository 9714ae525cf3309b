import type { BackendName } from '../../runtime/manifest.ts'
import { nameMaker, sortNodes } from '../onnx/edit.ts'
import { type EditableModel, scopesOf } from '../onnx/graph.ts'
import { inferTypes, mainOpset } from '../onnx/types.ts'
import { hideInitializers } from '../onnx/upgrade.ts'
import { inlineBranches } from './constant-branches.ts'
import { constantsOf, isFoldable } from './constants.ts'
import { decompose, needsDecomposing } from './decompose/decompose.ts'
import { foldConstants, type Round } from './fold-constants.ts'
import { foldShapes } from './fold-shapes.ts'
import { dropImpossibleBranch } from './impossible-branches.ts'
import { inferDims, type Inference } from './infer-dims.ts'
import { inlineFunctions } from './inline-functions.ts'
import { restore, snapshot, type Snapshot } from './snapshot.ts'
import { writeSqueezeAxes } from './squeeze-axes.ts'
import { normaliseDomains, tidy } from './tidy.ts'

/** What a graph is simplified for, and with. */
export interface SimplifyFor {
  /** Bytes of the model, external data included. */
  readonly bytes: number
  readonly inference: Inference | undefined
  /** The compiler whose refusals decide which operators are decomposed; none if absent. */
  readonly backend?: BackendName
}

/** Most rounds of folding: each makes constants that the next one folds further. */
const mostRounds = 10

/** Bytes that a model may grow by, and the share of its own size if that is more. */
const growth = { bytes: 2 ** 22, share: 0.1 }

/**
 * Makes a graph simpler for a compiler, in place, without another result: functions inlined, constants folded, branches
 * that never run removed. Without ONNX Runtime no values are computed.
 */
export async function simplifyGraph(model: EditableModel, { bytes, inference, backend }: SimplifyFor): Promise<void> {
  hideInitializers(model)
  normaliseDomains(model)
  inlineFunctions(model)
  for (const scope of scopesOf(model)) sortNodes(scope, model.file)
  tidy(model)
  const left = { bytes: Math.max(growth.bytes, growth.share * bytes) }
  if (inference) await fold(model, left, inference)
  if (!backend || !needsDecomposing(model, backend)) return
  // Without ONNX Runtime dims are unknown, which some operators need.
  const dims = inference && (await inferDims(model, inference))
  if (!(await decompose(model, backend, dims ?? new Map()))) return
  tidy(model)
  if (inference) await fold(model, left, inference)
}

async function fold(model: EditableModel, left: { bytes: number }, inference: Inference): Promise<void> {
  let before: Snapshot | undefined
  for (let round = 1; round <= mostRounds && mayFold(model); round++) {
    const dims = (await inferDims(model, inference)) ?? (before && (await dropImpossibleBranch(model, inference)))
    if (!dims) return before && restore(model, before)
    before = snapshot(model)
    if (!(await foldOnce(model, { dims, growth: left, ...inference }))) return
  }
}

/** Whether a round may find something: asking ONNX Runtime takes most of its time. */
function mayFold(model: EditableModel): boolean {
  return scopesOf(model).some((scope) => {
    const find = constantsOf(scope)
    return scope.graph.node.some(
      (node) =>
        startsFolding.has(node.opType) ||
        (isFoldable(node) && node.input.every((name) => name === '' || find(name) !== undefined)),
    )
  })
}

const startsFolding: ReadonlySet<string> = new Set(['Shape', 'Size', 'Squeeze', 'If'])

async function foldOnce(model: EditableModel, round: Inference & Pick<Round, 'dims' | 'growth'>): Promise<boolean> {
  const { dims } = round
  const makeName = nameMaker(model)
  const opset = mainOpset(model.proto.opsetImport)
  let changed = false
  for (const scope of scopesOf(model)) {
    const didShapes = foldShapes(scope, dims)
    const didAxes = writeSqueezeAxes(scope, { dims, opset, makeName })
    const types = inferTypes(model)
    const didConstants = await foldConstants(scope, { ...round, model, types })
    changed ||= didShapes || didAxes || didConstants
  }
  changed = inlineBranches(model) || changed
  if (changed) tidy(model)
  return changed
}
