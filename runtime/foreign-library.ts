import { closeSync, openSync, readSync } from 'node:fs'

/**
 * Why this process cannot load a library, from its header: 'a library for arm64, and this process needs x64'. undefined
 * when the header says nothing against it, or is unknown. The loader of Linux reports a library for another processor
 * as a file that does not exist.
 */
export function foreignLibrary(file: string): string | undefined {
  const processor = processorOf(headerOf(file))
  if (processor === undefined || processor === process.arch) return undefined
  return `a library for ${processor}, and this process needs ${process.arch}`
}

// ELF: System V ABI, chapter 4, `e_machine`. PE: Microsoft's PE format, section "Machine types".
const elfMachines: Readonly<Record<number, string>> = { 0x03: 'ia32', 0x28: 'arm', 0x3e: 'x64', 0xb7: 'arm64' }
const peMachines: Readonly<Record<number, string>> = { 0x14c: 'ia32', 0x1c4: 'arm', 0x8664: 'x64', 0xaa64: 'arm64' }

function processorOf(header: Buffer): string | undefined {
  if (header.length < 64) return undefined
  if (header.toString('latin1', 0, 4) === '\x7fELF') {
    const machine = header[5] === 2 ? header.readUInt16BE(18) : header.readUInt16LE(18)
    return elfMachines[machine] ?? 'another processor'
  }
  if (header.toString('latin1', 0, 2) !== 'MZ') return undefined
  const start = header.readUInt32LE(0x3c)
  if (start + 6 > header.length || header.toString('latin1', start, start + 4) !== 'PE\0\0') return undefined
  return peMachines[header.readUInt16LE(start + 4)] ?? 'another processor'
}

function headerOf(file: string): Buffer {
  const buffer = Buffer.alloc(1024)
  const descriptor = openSync(file, 'r')
  try {
    return buffer.subarray(0, readSync(descriptor, buffer, 0, buffer.length, 0))
  } finally {
    closeSync(descriptor)
  }
}
