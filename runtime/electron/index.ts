export { errorCodes, OnnxEngineError, type ErrorCode } from '../errors.ts'
export { exposeModel, type ExposedModel, type IpcMain, type MainPort } from './main.ts'
export { connectModel, type ConnectedModel, type IpcRenderer } from './renderer.ts'
export type { BridgeOptions, ModelFacts } from './bridge.ts'
