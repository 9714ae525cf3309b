import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inTurn } from '../../plugin/bench/statistics.ts'
import { startPythonServer, type PythonServer } from '../servers/python-server.ts'
import { pythonWith, repository } from '../support/python.ts'
import { runNode, runProgram } from './measure.ts'
import { classifier, workFolder } from './models.ts'
import { remoteCacheBench } from './remote-cache.ts'
import type { Row } from './row.ts'

const ourCalls = fileURLToPath(new URL('./servers-child.js', import.meta.url))
const folder = join(repository, 'test', 'servers')
const calls = 200

/** Calls of a model on a KServe server over gRPC and the loopback interface, and a remote cache. */
export async function serversBench(): Promise<readonly Row[]> {
  const models = join(workFolder, 'served')
  mkdirSync(models)
  copyFileSync(classifier.file, join(models, 'cls.onnx'))
  const python = await pythonWith(join(folder, 'requirements.txt'))
  const server = await startPythonServer('kserve', python, models)
  try {
    return [await oneCaller(server, python), await manyCallers(server), await remoteCacheBench()]
  } finally {
    await server.kill()
  }
}

async function oneCaller({ grpc }: PythonServer, python: string): Promise<Row> {
  const peer = join(repository, 'test', 'bench', 'tritonclient_calls.py')
  const times = await inTurn(
    7,
    () => ours(grpc, 1),
    async () => Number((await runProgram(python, [peer, grpc.replace('grpc://', ''), dims, String(calls)])).output),
  )
  return {
    name: 'call of the classifier on a server, gRPC',
    beside: `tritonclient's gRPC client`,
    ...times,
    unit: 'ms',
    aim: { of: 'ratio', atMost: 0.8 },
  }
}

async function manyCallers({ grpc }: PythonServer): Promise<Row> {
  const times = await inTurn(
    5,
    () => ours(grpc, 64),
    () => ours(grpc, 1),
  )
  return {
    name: 'the same by 64 callers at once, time per call',
    beside: 'by one caller',
    ...times,
    unit: 'ms',
    aim: { of: 'ratio', atMost: 1.1 },
  }
}

const dims = classifier.dims.join('x')

/** Mean milliseconds of a call. */
async function ours(url: string, callers: number): Promise<number> {
  return Number((await runNode(ourCalls, [url, dims, String(calls), String(callers)])).output)
}
