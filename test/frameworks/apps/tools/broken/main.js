import model from './missing.onnx?engine=fp32'

export default model
