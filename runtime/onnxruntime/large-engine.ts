// An engine of more than 2 GiB is an ONNX file with its weights behind it, since neither protobuf nor ONNX Runtime's
// own format can hold them: [model][weights][length of the model, 8 bytes, little-endian][mark]. The model names the
// weights as external data of the file `weightsName`, at offsets in the part behind it. One file has one checksum.

/** The name under which the model of a large engine has its weights. */
export const weightsName = 'weights.bin'

const mark = 'ONNX+W01'

/** Bytes at the end of a large engine. */
export const footerBytes = 16

/** The end of a large engine whose model has this many bytes. */
export function engineFooter(modelBytes: number): Uint8Array {
  const footer = new Uint8Array(footerBytes)
  new DataView(footer.buffer).setBigUint64(0, BigInt(modelBytes), true)
  footer.set(new TextEncoder().encode(mark), 8)
  return footer
}

/** The bytes of the model at the start of an engine, of which weights follow; undefined for an engine of one part. */
export function modelBytesOf(engine: ArrayBuffer): number | undefined {
  if (engine.byteLength < footerBytes) return undefined
  const footer = new DataView(engine, engine.byteLength - footerBytes)
  if (!Array.from(mark, (character, index) => footer.getUint8(8 + index) === character.charCodeAt(0)).every(Boolean))
    return undefined
  const bytes = Number(footer.getBigUint64(0, true))
  return bytes <= engine.byteLength - footerBytes ? bytes : undefined
}

/** The parts of an engine, in place. */
export function engineParts(engine: ArrayBuffer): { readonly model: Uint8Array; readonly weights: Uint8Array | null } {
  const bytes = modelBytesOf(engine)
  if (bytes === undefined) return { model: new Uint8Array(engine), weights: null }
  const weights = new Uint8Array(engine, bytes, engine.byteLength - footerBytes - bytes)
  return { model: new Uint8Array(engine, 0, bytes), weights }
}
