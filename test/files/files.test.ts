import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { fullDisk } from '../../plugin/files/full-disk.ts'
import { hashAround, hashFile, hashSegments } from '../../plugin/files/hash.ts'
import { isTemporary, replaceFile } from '../../plugin/files/replace-file.ts'
import { isUnusable } from '../../plugin/files/unusable.ts'
import { tempFolder } from '../support/helpers.ts'

let folder: string
let file: string
// More than one piece of a megabyte.
const bytes = Buffer.from(Array.from({ length: 2_500_000 }, (_, index) => index % 251))
const sha256 = (...parts: readonly (Buffer | string)[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

beforeEach(() => {
  folder = tempFolder()
  file = join(folder, 'weights.bin')
  writeFileSync(file, bytes)
})

describe('the hash of a file', () => {
  test.each<[title: string, holes: readonly [offset: number, length: number][], rest: readonly [number, number][]]>([
    ['nothing', [], [[0, 2_500_000]]],
    ['an empty segment', [[5, 0]], [[0, 2_500_000]]],
    ['the start', [[0, 10]], [[10, 2_500_000]]],
    ['the end, and past it', [[2_499_990, 100]], [[0, 2_499_990]]],
    [
      'the border of two pieces',
      [[1_048_570, 12]],
      [
        [0, 1_048_570],
        [1_048_582, 2_500_000],
      ],
    ],
    [
      'segments that overlap, unsorted',
      [
        [30, 20],
        [10, 25],
      ],
      [
        [0, 10],
        [50, 2_500_000],
      ],
    ],
    ['all of it', [[0, 2_500_000]], []],
  ])('leaves out %s', async (_, holes, rest) => {
    const { whole, around } = await hashAround(
      file,
      holes.map(([offset, length]) => ({ offset, length })),
    )
    expect(whole).toBe(sha256(bytes))
    expect(whole).toBe(await hashFile(file))
    expect(around).toBe(sha256(...rest.map(([start, end]) => bytes.subarray(start, end))))
  })

  test.each<[title: string, segments: readonly [offset: number, length: number][], parts: readonly [number, number][]]>(
    [
      ['one segment', [[5, 10]], [[5, 10]]],
      [
        'two that touch, as one',
        [
          [0, 10],
          [10, 10],
        ],
        [[0, 20]],
      ],
      [
        'the same one many times, as one',
        [
          [7, 3],
          [7, 3],
          [7, 3],
        ],
        [[7, 3]],
      ],
      [
        'two apart, in the order of the file',
        [
          [100, 5],
          [1, 2],
        ],
        [
          [1, 2],
          [100, 5],
        ],
      ],
    ],
  )('of %s covers offsets and bytes', async (_, segments, parts) => {
    const hash = await hashSegments(
      file,
      segments.map(([offset, length]) => ({ offset, length })),
    )
    const expected = parts.flatMap(([offset, length]) => [
      `${offset}+${length};`,
      bytes.subarray(offset, offset + length),
    ])
    expect(hash).toBe(sha256(...expected))
  })

  test('of a segment past the end of the file is undefined', async () => {
    expect(await hashSegments(file, [{ offset: 2_499_999, length: 2 }])).toBeUndefined()
  })
})

describe('a file that is replaced', () => {
  test('has the new text and leaves no temporary file', async () => {
    const target = join(folder, 'new', 'index.json')
    await replaceFile(target, 'old')
    await replaceFile(target, 'new')
    expect(readFileSync(target, 'utf8')).toBe('new')
    expect(readdirSync(join(folder, 'new'))).toEqual(['index.json'])
  })

  test.each([
    ['a.json.0f8fad5b-d9cb-469f-a165-70867728950e', true],
    ['a.json', false],
    ['0f8fad5b-d9cb-469f-a165-70867728950e', false],
  ])('%s: temporary is %s', (name, temporary) => {
    expect(isTemporary(name)).toBe(temporary)
  })
})

const error = (code: string, cause?: unknown) => Object.assign(new Error(code, { cause }), { code })

describe('an error of a folder', () => {
  test.each([
    ['a read-only folder', error('EROFS'), true],
    ['a full disk', error('ENOSPC'), true],
    ['a file instead of a folder, as a cause', new Error('build failed', { cause: error('ENOTDIR') }), true],
    ['a missing file', error('ENOENT'), false],
    ['an error without a code', new Error('no code'), false],
    ['text', 'EROFS', false],
  ])('%s: unusable is %s', (_, problem, unusable) => {
    expect(isUnusable(problem)).toBe(unusable)
  })

  test('whose causes form a circle ends', () => {
    const first = error('EOTHER')
    first.cause = error('EOTHER', first)
    expect(isUnusable(first)).toBe(false)
  })

  test('names a full disk by its code, whatever the disk of the folder', async () => {
    expect(await fullDisk(new Error('write', { cause: error('EDQUOT') }), folder)).toMatchObject({ code: 'ENOSPC' })
    expect(await fullDisk(new Error('write'), join(folder, 'missing'))).toBeUndefined()
  })
})
