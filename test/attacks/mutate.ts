import type { Random } from './random.ts'

/** A changed copy of some bytes: one to eight of the changes below, at random places. */
export function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  let changed: Uint8Array = Uint8Array.from(bytes)
  const count = 1 + random.below(8)
  for (let step = 0; step < count; step++) changed = random.pick(changes)(changed, random)
  return changed
}

/** A changed copy of a text, by its UTF-8 bytes. */
export function mutateText(text: string, random: Random): string {
  return Buffer.from(mutate(Buffer.from(text), random)).toString('utf8')
}

type Change = (bytes: Uint8Array, random: Random) => Uint8Array

const changes: readonly Change[] = [flipBit, setByte, setExtreme, fill, truncate, removeRange, repeatRange, insertNoise]

/** Bytes that end, lengthen or nest something in protobuf, JSON and queries, and the ends of the ranges of numbers. */
const pivots = [0x00, 0x01, 0x7f, 0x80, 0xff, ...Buffer.from('"{}[]?&=,:*\\/%.-09\n\r\b\u001b')]

function flipBit(bytes: Uint8Array, random: Random): Uint8Array {
  if (bytes.length > 0) bytes[random.below(bytes.length)]! ^= 1 << random.below(8)
  return bytes
}

function setByte(bytes: Uint8Array, random: Random): Uint8Array {
  if (bytes.length > 0) bytes[random.below(bytes.length)] = random.pick(pivots)
  return bytes
}

/** A varint of nine or ten bytes: lengths and dims near 2^63. */
function setExtreme(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1)
  bytes.fill(0xff, at, at + 9)
  if (at + 9 < bytes.length) bytes[at + 9] = random.pick([0x01, 0x7f])
  return bytes
}

function fill(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1)
  return bytes.fill(random.pick(pivots), at, at + random.below(64))
}

function truncate(bytes: Uint8Array, random: Random): Uint8Array {
  return bytes.slice(0, random.below(bytes.length + 1))
}

function removeRange(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1)
  return join(bytes.subarray(0, at), bytes.subarray(at + random.below(64)))
}

function repeatRange(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1)
  const range = bytes.slice(at, at + random.below(256))
  const copies = Array.from({ length: 1 + random.below(16) }, () => range)
  return join(bytes.subarray(0, at), ...copies, bytes.subarray(at))
}

function insertNoise(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1)
  const noise = Uint8Array.from({ length: random.below(32) }, () => random.below(256))
  return join(bytes.subarray(0, at), noise, bytes.subarray(at))
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts))
}
