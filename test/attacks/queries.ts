import { parseRequest } from '../../dist/plugin/options/query.js'
import { compileOptions, resolveOptions } from '../../dist/plugin/options/resolve.js'
import type { Attack } from './contract.ts'
import { mutateText } from './mutate.ts'
import { mayFail } from './workshop.ts'

/** Changed texts of imports. */
export const queries: Attack = {
  claim: 'the text of an import is understood or refused with a code, in 1 s',
  patience: 1,
  async open({ random, folder }) {
    const options = resolveOptions({ root: folder })
    const texts = [
      './pose.onnx?engine=fp16&io=fp16&backend=openvino,onnxruntime&target=latest',
      './pose.onnx?shapes=image:1x3x224x224,mask:1x224x224',
      './pose.onnx?min=x:1x3&opt=x:8x3&max=x:64x3&t=1731',
      './a%20b/%C3%BC.onnx?engine=int8&shapes=in%3Aput:1x1,constructor:2,__proto__:3',
    ]
    return () =>
      mayFail(() => {
        const request = parseRequest(mutateText(random.pick(texts), random))
        if (request) compileOptions(options, { ...request, file: `${folder}/pose.onnx` })
      })
  },
}
