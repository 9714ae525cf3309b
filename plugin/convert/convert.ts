/**
 * Files of other frameworks become ONNX. convert.ts is the story: find-rule.ts finds the rule of the option `convert`,
 * sources.ts what a result depends on, run-program.ts runs the program, amend.ts gives bindings their names.
 */
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type ErrorDetails, OnnxEngineError, textOf } from '../../runtime/errors.ts'
import { importKeyOf } from '../cache/import-records.ts'
import { cacheKey } from '../cache/key.ts'
import type { Store } from '../cache/store.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import { loadGraph } from '../onnx/graph.ts'
import { writeGraph } from '../onnx/write.ts'
import type { ConvertStep } from '../options/convert-schema.ts'
import { amend } from './amend.ts'
import { type ConvertRules, findRule, modelName } from './find-rule.ts'
import { type Ended, runProgram } from './run-program.ts'
import { conversionFacts } from './sources.ts'

/** A file to read as a model, where it may be a file of another framework. */
export interface ConvertRequest {
  /** Absolute path of what the app imports. */
  readonly file: string
  readonly rules: ConvertRules
  /** Folder of the app. */
  readonly root: string
  readonly store: Store
  readonly signal?: AbortSignal | undefined
  readonly log?: ((line: string) => void) | undefined
}

/** An ONNX file that was made of another file. */
export interface Converted {
  /** Path of the `.onnx` file, in the cache. */
  readonly onnx: string
  /** What it was made of: the imported file, or those of the folder, and the inputs of the rule. */
  readonly files: readonly string[]
}

/** Raised when the same output of a program gives another file. */
const version = 1

/**
 * The ONNX file of a model that a program of the user's makes, from the cache or made now. Undefined for a file that no
 * rule is for.
 *
 * @throws OnnxEngineError CONVERT_FAILED, with the last lines of the program; OPTION_INVALID for names of bindings that
 *   the result does not have; COMPILE_ABORTED, NOT_CACHED
 */
export async function convert(request: ConvertRequest): Promise<Converted | undefined> {
  const { file, rules, root, store, signal, log } = request
  const found = findRule(file, rules)
  if (!found) return undefined
  const { key, rule } = found
  const name = modelName(file, rules)
  const { facts, files } = await conversionFacts({ file, rule, root, statIndex: store.statIndex })
  const stored = await store.getOrBuild(
    {
      key: cacheKey({ ...facts, conversion: version }),
      importKey: importKeyOf(root, file, 'as ONNX'),
      label: name,
      signal,
    },
    async (output) => {
      const began = performance.now()
      await makeOnnx({ ...request, rule, where: `${basename(file)}: option 'convert' '${key}'` }, output)
      const seconds = ((performance.now() - began) / 1000).toFixed(1)
      log?.(`${name}: ${rule.command[0]} made ONNX of ${basename(file)} in ${seconds} s`)
    },
  )
  return { onnx: stored.artifact.file, files }
}

interface Making extends ConvertRequest {
  readonly rule: ConvertStep
  /** The file and the rule, for messages. */
  readonly where: string
}

async function makeOnnx({ file, rule, root, signal, where }: Making, target: string): Promise<void> {
  await using folder = await temporaryFolder()
  const output = join(folder.path, 'model.onnx')
  const command = rule.command.map((part) => part.replaceAll('{input}', file).replaceAll('{output}', output))
  const ended = await runProgram({ command, folder: root, timeout: rule.timeout, signal })
  if (signal?.aborted) throw new OnnxEngineError('COMPILE_ABORTED', where)
  const fail = (received: string, cause?: unknown): never => {
    throw failed(`${where}: ${rule.command.join(' ')}`, ended, { received, cause })
  }
  if (ended.failure !== undefined) return fail(ended.failure)
  if (!existsSync(output)) return fail('no file at {output}')
  const model = await loadGraph(output).catch((cause: unknown) =>
    fail(textOf(cause).replaceAll(output, '{output}'), cause),
  )
  amend(model, rule, where)
  await writeGraph({ ...model, external: false }, target)
  if (!existsSync(`${target}.data`)) return undefined
  await rm(`${target}.data`)
  return fail('a model of 2 GiB or more')
}

function failed(
  subject: string,
  { output }: Ended,
  details: Pick<ErrorDetails, 'received' | 'cause'>,
): OnnxEngineError {
  const lines = output === '' ? '' : `\n${output.split('\n').slice(-20).join('\n')}\n`
  return new OnnxEngineError('CONVERT_FAILED', `${subject}${lines}`, {
    expected: 'a program that ends with code 0 and writes an ONNX file to {output}',
    hint: 'Run the command yourself to see why, or install the program',
    ...details,
  })
}
