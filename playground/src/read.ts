import { classify } from './classify.ts'
import { detect } from './detect.ts'
import type { Image } from './image.ts'
import { readingOrder } from './quad.ts'
import { recognise } from './recognise.ts'
import type { Line, Result } from './report.ts'

// Lines with a lower confidence are not text, by PaddleOCR's rule (drop_score).
const minConfidence = 0.5

/** The whole app: finds the text, turns it upright, reads it. */
export async function read(name: string, image: Image): Promise<Result> {
  const start = performance.now()
  const found = await detect(image)
  const detected = performance.now()
  const upright = await classify(image, found)
  const classified = performance.now()
  const lines = await Promise.all(
    upright.map(async (quad): Promise<Line> => ({ quad, ...(await recognise(image, quad)) })),
  )
  const recognised = performance.now()
  return {
    name,
    lines: readingOrder(lines.filter(({ confidence }) => confidence >= minConfidence)),
    milliseconds: { detect: detected - start, classify: classified - detected, recognise: recognised - classified },
  }
}
