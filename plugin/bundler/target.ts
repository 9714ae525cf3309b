import { basename } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Refusal } from './adapter.ts'

/**
 * Throws UNSUPPORTED_TARGET for an imported model if no model can run in this build: in browsers, edge runtimes,
 * windows and preload scripts of Electron, and in output formats that lose their own path.
 */
export function checkTarget(file: string, refusal: Refusal | undefined): void {
  if (refusal === undefined) return
  const { subject, ...details } = refusal
  throw new OnnxEngineError(
    'UNSUPPORTED_TARGET',
    [`import of ${basename(file)}`, subject].filter(Boolean).join(': '),
    details,
  )
}

/** Hint of a build for browsers. */
export const nodeOnly = 'Import models only on the server or in the main process, which have their own configuration'

/**
 * Sandboxed or not: Node.js refuses to start workers in the processes of windows (electron#18540), and models run in
 * workers there.
 */
export function inElectron(side: 'a window' | 'a preload script'): Refusal {
  return {
    subject: '',
    expected: 'code of the main process, a utility process or a worker',
    received: `code of ${side} of Electron, where models cannot run`,
    hint:
      'Import it in the main process, and call it from windows with exposeModel() and connectModel() of ' +
      'unplugin-onnx/electron: docs/electron.md shows how',
  }
}
