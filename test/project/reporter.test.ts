import { expect, test } from 'vitest'
import type { BuildEvent, LiveEvent } from '../../plugin/compile/events.ts'
import { resolveOptions } from '../../plugin/options/resolve.ts'
import { openReporter } from '../../plugin/project/build-reporter.ts'

const logger = { log: () => {}, warn: () => {} }

function engine(file: string, seconds: number, hit = false): BuildEvent {
  const which = { event: 'engine', model: 'pose', file, engine: 'fp32', backend: 'onnxruntime', label: '' } as const
  return {
    ...which,
    hit,
    reason: hit ? 'hit' : 'miss: new',
    seconds,
    size: 1,
    sha256: '',
    verified: true,
    report: null,
  }
}

test('who follows a build hears how long a model took the last time', () => {
  const reporter = openReporter(() => resolveOptions({}, '/app'))
  const heard: LiveEvent[] = []
  reporter.follow((event) => heard.push(event))
  const { onEvent } = reporter.context(logger)
  const build = (file: string, event: BuildEvent) => {
    reporter.begin(file)
    onEvent?.(event)
    reporter.end(logger, true)
  }
  build('/app/pose.onnx', engine('/app/pose.onnx', 1.5))
  build('/app/pose.onnx', engine('/app/pose.onnx', 0.01, true))
  build('/app/pose.onnx', engine('/app/pose.onnx', 2))
  build('/app/other.onnx', engine('/app/other.onnx', 3))
  const started = heard.filter(({ event }) => event === 'started')
  // A hit is no measure of a compilation.
  expect(started.map((event) => 'lastSeconds' in event && event.lastSeconds)).toEqual([null, 1.5, 1.5, null])
})

test('who follows a build hears why a model failed', () => {
  const reporter = openReporter(() => resolveOptions({}, '/app'))
  const heard: LiveEvent[] = []
  reporter.follow((event) => heard.push(event))
  reporter.begin('/app/pose.onnx')
  reporter.fail('/app/pose.onnx', new Error('no backend could compile the model'))
  expect(heard.at(-1)).toEqual({
    event: 'failed',
    model: 'pose',
    file: '/app/pose.onnx',
    message: 'no backend could compile the model',
  })
})
