import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { reportTable, writeReport, type GpuReport } from '../gpu/figures.ts'
import { trtexecLatency } from '../gpu/trtexec.ts'
import { tempFolder } from '../support/helpers.ts'

// What `npm run test:gpu` writes, which no machine without a GPU sees.
const folder = tempFolder()

afterEach(() => {
  vi.unstubAllEnvs()
})

const report: GpuReport = {
  gpu: {
    name: 'Some GPU',
    computeCapability: 'sm90',
    driver: '580.1',
    multiprocessors: 1,
    l2Bytes: 1,
    memoryBusBits: 1,
    memoryBytes: 1,
  },
  figures: [
    { what: 'a call', library: 'tensorrt 11.2', value: 1.5, unit: 'ms', beside: { 'from C++': 1, trtexec: 2 } },
    { what: 'the detector, fp16', library: 'tensorrt 11.2', value: 0.99991, unit: 'cosine' },
  ],
}

test('the figures of a GPU are one JSON file and one table', () => {
  const file = join(folder, 'build', 'gpu.json')
  writeReport(file, report)
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(report)
  expect(reportTable(report)).toBe(
    [
      'On Some GPU (sm90), driver 580.1:',
      '',
      '| What | Library | Result | Beside |',
      '| --- | --- | --- | --- |',
      '| a call | tensorrt 11.2 | 1.500 ms | from C++ 1.000 ms, 1.50×; trtexec 2.000 ms, 0.75× |',
      '| the detector, fp16 | tensorrt 11.2 | 0.9999 cosine |  |',
      '',
    ].join('\n'),
  )
})

test.skipIf(process.platform === 'win32').each([
  ['10.15.1', true, '--useCudaGraph'],
  ['10.15.1', false, ''],
  ['11.2.1', true, '--includeDataTransfers'],
  ['11.2.1', false, '--includeDataTransfers --noCudaGraph'],
])('the latency of trtexec %s, graph %s, is the median of its calls', async (version, cudaGraph, flags) => {
  const program = join(folder, 'trtexec')
  writeFileSync(
    program,
    `#!/bin/sh
echo "$@" > '${folder}/arguments'
for argument; do case $argument in --exportTimes=*) file=\${argument#*=};; esac; done
echo '[{ "latencyMs": 3 }, { "latencyMs": 1 }, { "latencyMs": 2 }]' > "$file"
`,
  )
  chmodSync(program, 0o755)
  vi.stubEnv('PATH', `${folder}:${process.env['PATH']}`)
  expect(await trtexecLatency({ plan: 'a.plan', version, cudaGraph })).toBe(2)
  expect(readFileSync(join(folder, 'arguments'), 'utf8').trim()).toMatch(
    new RegExp(`^--loadEngine=a\\.plan --exportTimes=\\S+${flags && ` ${flags}`}$`),
  )
})

test('a machine without trtexec has no figure of it', async () => {
  vi.stubEnv('PATH', folder.replace(/[^/]+$/, 'nowhere'))
  expect(await trtexecLatency({ plan: 'a.plan', version: '11.2.1', cudaGraph: true })).toBeUndefined()
})
