/**
 * A real app: reads the text in images with three models of PaddleOCR. main.ts runs it and compares with expected.json,
 * and page.ts runs it in a browser. read.ts is its story; detect.ts, classify.ts and recognise.ts each call one model;
 * regions.ts, rectangle.ts, quad.ts and ctc.ts are the algorithms between them; image.ts holds pixels; annotate.ts and
 * report.ts show the result.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { annotate } from './annotate.ts'
import { classifier } from './classify.ts'
import { detector } from './detect.ts'
import { decodePng, encodePng } from './image.ts'
import { read } from './read.ts'
import { recogniser } from './recognise.ts'
import { indexPage, imagePage, type Line, type Result } from './report.ts'

// Both are relative to the bundle, playground/dist/main.js.
const images = new URL('../images/', import.meta.url)
const report = new URL('./report/', import.meta.url)

for (const [name, model] of Object.entries({ detector, classifier, recogniser })) {
  const { variant } = await model.load()
  console.log(`${name} runs on ${variant?.backend}, ${variant?.engine}`)
  for (const { backend, reason } of variant?.skipped ?? []) console.log(`  not on ${backend}: ${reason}`)
}

await mkdir(report, { recursive: true })
const expected: Record<string, string[]> = JSON.parse(await readFile(new URL('expected.json', images), 'utf8'))
const results: Result[] = []
for (const [name, texts] of Object.entries(expected)) {
  const image = decodePng(await readFile(new URL(name, images)))
  const result = await read(name, image)
  results.push(result)
  print(result)
  for (const difference of differences(texts, result.lines)) {
    console.error(`${name}: ${difference}`)
    process.exitCode = 1
  }
  const annotated = encodePng(
    annotate(
      image,
      result.lines.map(({ quad }) => quad),
    ),
  )
  await writeFile(new URL(`${name.replace('.png', '')}.annotated.png`, report), annotated)
  await writeFile(new URL(`${name}.html`, report), imagePage(result, image, annotated))
}
await writeFile(new URL('index.html', report), indexPage(results))
console.log(`\nreport: ${new URL('index.html', report).href}`)

function print({ name, lines, milliseconds }: Result): void {
  const stages = Object.entries(milliseconds).map(([stage, ms]) => `${stage} ${ms.toFixed(0)} ms`)
  console.log(`\n${name} (${stages.join(', ')})`)
  for (const { text, confidence } of lines) console.log(`  ${confidence.toFixed(3)}  ${text}`)
}

// Spaces do not count, as in PaddleOCR's own metric (RecMetric, ignore_space): this recogniser leaves many of them out.
function* differences(expected: readonly string[], lines: readonly Line[]): Generator<string> {
  for (let i = 0; i < Math.max(expected.length, lines.length); i++) {
    const [wanted, received] = [expected[i], lines[i]?.text]
    if (wanted?.replaceAll(' ', '') !== received?.replaceAll(' ', ''))
      yield `line ${i + 1}: expected ${quoted(wanted)}, received ${quoted(received)}`
  }
}

function quoted(text: string | undefined): string {
  return text === undefined ? 'no such line' : JSON.stringify(text)
}
