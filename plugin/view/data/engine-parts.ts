import { backendNames, type BackendName, type Precision, precisions } from '../../../runtime/manifest.ts'
import { parseRequest } from '../../options/query.ts'

/** What the key of an import tells, such as 'model.onnx ?engine=fp16 openvino'; undefined for a measurement's. */
export function engineParts(
  importKey: string,
): { readonly file: string; readonly query: string; readonly backend: BackendName } | undefined {
  const words = importKey.split(' ')
  const position = words.findIndex((word, index) => index > 0 && backendNames.some((name) => name === word))
  if (position < 1) return undefined
  const head = words.slice(0, position).join(' ')
  const [, file = head, query = ''] = /^(.*?\.onnx) ?(.*)$/.exec(head) ?? []
  return { file, query, backend: words[position] as BackendName }
}

/** The precision that a query names. Only for engines of earlier versions, whose facts do not have it. */
export function precisionOf(query: string): Precision {
  const named = parseRequest(`./model.onnx?${query.replace(/^\?/, '')}`)?.query.engine
  return precisions.find((precision) => precision === named) ?? 'fp32'
}
