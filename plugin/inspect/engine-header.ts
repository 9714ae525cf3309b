import { open } from 'node:fs/promises'
import type { BackendName } from '../../runtime/manifest.ts'

/** What the first bytes of an engine file show. */
export interface EngineHeader {
  readonly backend: BackendName
  readonly format: string
  readonly facts: Readonly<Record<string, string>>
}

/** Bytes that are read: no header is longer, whatever the size of the file. */
const headerLength = 512

/** The kind of engine in a file; undefined for a file that is none. Reads its first bytes only. */
export async function readEngineHeader(file: string): Promise<EngineHeader | undefined> {
  const handle = await open(file)
  try {
    const buffer = Buffer.alloc(headerLength)
    const { bytesRead } = await handle.read(buffer, 0, headerLength, 0)
    const bytes = buffer.subarray(0, bytesRead)
    return formats.map((format) => format(bytes)).find((found) => found !== undefined)
  } finally {
    await handle.close()
  }
}

const formats: readonly ((bytes: Buffer) => EngineHeader | undefined)[] = [ortFormat, openvinoBlob, rtxEngine, plan]

// A flatbuffer: an offset, then the identifier of ONNX Runtime's schema.
function ortFormat(bytes: Buffer): EngineHeader | undefined {
  if (bytes.toString('latin1', 4, 8) !== 'ORTM') return undefined
  return { backend: 'onnxruntime', format: 'an ORT format model of ONNX Runtime', facts: {} }
}

// 'RR_UPCVO', then at byte 12 the length of what the blob requires from a machine, as text from byte 20.
function openvinoBlob(bytes: Buffer): EngineHeader | undefined {
  if (bytes.toString('latin1', 0, 8) !== 'RR_UPCVO' || bytes.length < 20) return undefined
  const text = bytes.toString('latin1', 20, 20 + bytes.readUInt32LE(12))
  const entries = text.split(';').map((entry) => entry.split('=', 2) as [string, string?])
  const facts = Object.fromEntries(entries.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])))
  return { backend: 'openvino', format: 'a blob of OpenVINO', facts }
}

// The fields that runtime/tensorrt/header.ts describes.
function rtxEngine(bytes: Buffer): EngineHeader | undefined {
  if (bytes.toString('latin1', 0, 4) !== 'vtrt' || bytes.length < 64) return undefined
  const version = [...bytes.subarray(24, 28)].join('.')
  return { backend: 'tensorrt-rtx', format: 'an engine of TensorRT-RTX', facts: { version } }
}

function plan(bytes: Buffer): EngineHeader | undefined {
  if (!/^[fp]trt$/.test(bytes.toString('latin1', 0, 4))) return undefined
  return { backend: 'tensorrt', format: 'a plan of TensorRT', facts: {} }
}
