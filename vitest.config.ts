import { defineConfig } from 'vitest/config'
import { fromSource } from './test/support/from-source.ts'

/** Pure modules: no process, no engine. They run in seconds, without a build. */
const unit = [
  'test/bundlers/adapters.test.ts',
  'test/cache/key.test.ts',
  'test/child/countdown.test.ts',
  'test/cli/{arguments,reports}.test.ts',
  'test/docs/docs.test.ts',
  'test/emit/*.test.ts',
  'test/files/*.test.ts',
  'test/imports/*.test.ts',
  'test/lint/*.test.ts',
  'test/measure/*.test.ts',
  'test/node/start-record.test.ts',
  'test/onnx/onnx.test.ts',
  'test/openvino/plan.test.ts',
  'test/options/*.test.ts',
  'test/precision/{int8-cpu,int8-numbers,precise-values,value-limits}.test.ts',
  'test/project/*.test.ts',
  'test/runtime/testing.test.ts',
  'test/samples/npy.test.ts',
  'test/tensorrt/{bounds,kernel-cache,key,machine}.test.ts',
  'test/tools/{build-summary,compare-reports,init,model-costs,statistics,trtexec,version-range}.test.ts',
  'test/types/write.test.ts',
  'test/verify/{inputs,limits,nodes,report,verdict}.test.ts',
]

/** Real bundlers build apps, whose output runs in Node.js. */
const bundlers = ['test/bundlers/bundlers.test.ts', 'test/docs/readme.test.ts', 'test/playground/*.test.ts']

/** Real compilers, libraries and processes. */
const engines = ['test/**/*.test.ts']

export default defineConfig({
  test: {
    // Minutes, because real compilers and bundlers run, next to others of the same machine. No test asserts its time.
    testTimeout: 180_000,
    hookTimeout: 240_000,
    // Two cores: bundlers and compilers fork children of their own.
    maxWorkers: 2,
    projects: [
      project({ name: 'unit', include: unit, setupFiles: ['test/support/pure.ts'] }),
      project({ name: 'bundlers', include: bundlers, globalSetup: ['test/support/built.ts'] }),
      project({
        name: 'engines',
        include: engines,
        exclude: [...unit, ...bundlers],
        globalSetup: ['test/support/built.ts'],
      }),
    ],
  },
})

function project(test: object) {
  return { extends: true as const, plugins: [fromSource()], test }
}
