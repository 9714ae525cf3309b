// The header of a TensorRT-RTX engine. NVIDIA documents its size (IRuntime::getEngineHeaderSize returns 64) but not its
// contents. The fields that are read here are the same in engines of 1.5.0.114, 1.6.1.120 and 1.7.1.116, the only
// releases that we have addons for. The build number is one byte.
const headerBytes = 64
const magic = [0x76, 0x74, 0x72, 0x74]
const sizeAt = 16
const versionAt = 24

/**
 * Why these bytes are no engine of a release of TensorRT-RTX, such as '1.7.1.116', as text; undefined when nothing in
 * the header contradicts it. Needs no library, driver or GPU; without a GPU, the library itself notices damage in the
 * first bytes only. The checksum finds damage after the header.
 */
export function headerProblem(bytes: Uint8Array, version: string): string | undefined {
  if (bytes.length < headerBytes) return `${bytes.length} bytes, less than the header of an engine`
  if (magic.some((byte, index) => bytes[index] !== byte))
    return `a file that begins with ${hexOf(bytes.subarray(0, 4))} and is no engine of TensorRT-RTX`
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const size = view.getBigUint64(sizeAt, true)
  if (size !== BigInt(bytes.length)) return `${bytes.length} bytes of an engine that has ${size}`
  const built = Array.from(bytes.subarray(versionAt, versionAt + 4))
  const wanted = version.split('.').map((part) => Number(part) & 0xff)
  return built.some((part, index) => part !== wanted[index])
    ? `an engine of TensorRT-RTX ${built.join('.')}`
    : undefined
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
