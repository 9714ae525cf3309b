// A model of the main process for the windows of an Electron app, which have no Node.js: main.ts serves the calls of
// windows over ports, renderer.ts makes them, bridge.ts has the messages between the two. Nothing here imports a module
// of Node.js, because sandboxed preload scripts have none.
export { errorCodes, OnnxEngineError, type ErrorCode } from '../errors.ts'
export { exposeModel, type ExposedModel, type IpcMain, type MainPort } from './main.ts'
export { connectModel, type ConnectedModel, type IpcRenderer } from './renderer.ts'
export type { BridgeOptions, ModelFacts } from './bridge.ts'
