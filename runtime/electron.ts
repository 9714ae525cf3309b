export { errorCodes, OnnxEngineError, type ErrorCode } from './errors.ts'
export { exposeModel, type ExposedModel, type IpcMain, type MainPort } from './electron-main.ts'
export { connectModel, type ConnectedModel, type IpcRenderer } from './electron-renderer.ts'
export type { BridgeOptions, ModelFacts } from './electron-bridge.ts'
