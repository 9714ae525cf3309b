// Loaded by every start with the hook: it imports nothing.

/** What Node.js loads itself. */
const ownEndings = /\.(?:[cm]?[jt]sx?|json|node|wasm)$/

/** Whether an import may be of a model: its file has an ending that Node.js does not know, such as `.onnx`. */
export function isLikelyModel(specifier: string): boolean {
  const [path = ''] = specifier.split('?', 1)
  return /\.[\w-]+$/.test(path) && !ownEndings.test(path)
}
