import type { CheckedTensor } from '../../runtime/session.ts'
import { numbersOf } from './numbers.ts'

/** The outputs of a detector, by their names: a box of four numbers, a score and perhaps a label for each object. */
export interface DetectorOutputs {
  readonly boxes: string
  readonly scores: string
  readonly labels?: string
}

/** Objects that were found by both, over all inputs. A type, not an interface: it is kept as JSON. */
export type Objects = {
  readonly expected: number
  readonly received: number
  readonly matched: number
}

export const noObjects: Objects = { expected: 0, received: 0, matched: 0 }

/** Scores below which a box is a guess, and the overlap from which two boxes are of one object, as in PASCAL VOC. */
const least = { score: 0.3, overlap: 0.5 }

/** A score this much lower still counts, or an object at the threshold would be lost by rounding. */
const slack = 0.05

/** Objects that are compared in one input: the time grows with the square. */
const mostObjects = 300

type Tensors = ReadonlyMap<string, CheckedTensor>

/**
 * Counts the objects of one input: those that the fp32 model and the engine find with the same label in about the same
 * place. Boxes may be in any order and of any count. Corners (x1, y1, x2, y2) in any units: the overlap is a ratio.
 */
export function addObjects(sum: Objects, outputs: DetectorOutputs, expected: Tensors, received: Tensors): Objects {
  const [wanted, given] = [objectsOf(expected, outputs), objectsOf(received, outputs)]
  const sure = wanted.filter(({ score }) => score >= least.score)
  const free = new Set(given.filter(({ score }) => score >= least.score - slack))
  const all = [...free].filter(({ score }) => score >= least.score)
  const taken = new Set<FoundObject>()
  for (const object of sure) {
    const same = [...free].filter((other) => other.label === object.label && overlap(other, object) >= least.overlap)
    const best = same.toSorted((one, other) => overlap(other, object) - overlap(one, object))[0]
    if (!best) continue
    free.delete(best)
    taken.add(best)
  }
  const extra = all.filter((object) => !taken.has(object)).length
  return {
    expected: sum.expected + sure.length,
    received: sum.received + taken.size + extra,
    matched: sum.matched + taken.size,
  }
}

/** Share of the objects that both found: 1 when all, also when there are none (F1, also known as Dice). */
export function sharedObjects({ expected, received, matched }: Objects): number {
  return expected + received === 0 ? 1 : (2 * matched) / (expected + received)
}

interface FoundObject {
  readonly corners: readonly [number, number, number, number]
  readonly score: number
  readonly label: number
}

function objectsOf(tensors: Tensors, { boxes, scores, labels }: DetectorOutputs): readonly FoundObject[] {
  const numbers = (name: string | undefined) => {
    const tensor = name === undefined ? undefined : tensors.get(name)
    return tensor && numbersOf(tensor)
  }
  const [corners, values, kinds] = [numbers(boxes) ?? [], numbers(scores) ?? [], numbers(labels)]
  const found = Array.from(values, (score, index): FoundObject => {
    const [a = 0, b = 0, c = 0, d = 0] = Array.from({ length: 4 }, (_, at) => corners[index * 4 + at] ?? 0)
    return {
      corners: [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)],
      score,
      label: kinds?.[index] ?? 0,
    }
  })
  return found.toSorted((one, other) => other.score - one.score).slice(0, mostObjects)
}

/** Intersection over union. */
function overlap({ corners: [a, b, c, d] }: FoundObject, { corners: [e, f, g, h] }: FoundObject): number {
  const shared = Math.max(0, Math.min(c, g) - Math.max(a, e)) * Math.max(0, Math.min(d, h) - Math.max(b, f))
  const all = (c - a) * (d - b) + (g - e) * (h - f) - shared
  return all > 0 ? shared / all : 0
}
