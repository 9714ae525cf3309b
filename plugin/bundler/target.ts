import { basename } from 'node:path'
import { OnnxEngineError } from '../../runtime/errors.ts'
import type { Side } from '../options/build-target.ts'
import type { Project } from '../project/project.ts'
import type { BundlerAdapter, Refusal } from './adapter.ts'

/** Where the output of a build runs: the option `platform`, or else the bundler's own target. */
export function sideOfBuild({ options: { platform } }: Project, adapter: BundlerAdapter, context: object): Side {
  return platform === 'auto' ? adapter.side(context) : platform
}

/**
 * Throws UNSUPPORTED_TARGET for an imported model if no model can run in this build: in edge runtimes, preload scripts
 * of Electron, and output formats that lose their own path.
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

/** Hint of a build for browsers, by a bundler whose output runs models in Node.js only. */
export const nodeOnly =
  'Build for Node.js, or build pages with Vite, webpack, Rspack, Rollup, Rolldown or esbuild: docs/browser.md'

/** The refusal of a bundler that makes no pages, when the option `platform` asks for them. */
export function noPages({ options: { platform } }: Project, bundler: string): Refusal | undefined {
  if (platform !== 'browser') return undefined
  return { subject: `option 'platform'`, expected: `'node' with ${bundler}`, received: `'browser'`, hint: nodeOnly }
}

/** The refusal of a preload script: it has neither a folder of its own nor workers (electron#18540). */
export const preloadRefusal: Refusal = {
  subject: '',
  expected: 'code of the main process, a window, a utility process or a worker',
  received: 'code of a preload script of Electron, where models cannot run',
  hint:
    'Import it in the main process, and call it from windows with exposeModel() and connectModel() of ' +
    'unplugin-onnx/electron, or import it in the code of the window: docs/electron.md shows how',
}
