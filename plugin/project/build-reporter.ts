import { basename } from 'node:path'
import { textOf } from '../../runtime/errors.ts'
import type { BuildEvent, LiveEvent } from '../compile/events.ts'
import type { CompileContext } from '../compile/request.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import { liveLine } from '../terminal/live.ts'
import { newSummary } from './build-summary.ts'
import { liveProgress } from './live-progress.ts'
import type { Logger } from './logger.ts'

/** What a project prints and writes about its builds. */
export interface BuildReporter {
  /** What a compilation needs to report through this. */
  context(logger: Logger): Pick<CompileContext, 'onEvent' | 'startProgress'>
  /** Calls `listener` with all that happens from now on. */
  follow(listener: (event: LiveEvent) => void): void
  /** A model begins to compile. */
  begin(file: string): void
  /** It could not be compiled. */
  fail(file: string, error: unknown): void
  /** A model has ended. A build prints at its end; a server has none, and prints when no other model follows soon. */
  end(logger: Logger, isServed: boolean): void
  /** Forgets the events of the last build. */
  newBuild(): void
  /** Prints the summary, and writes the file of the option `events`. */
  print(logger: Logger): Promise<void>
  /** Prints what would make the output smaller, once. */
  advise(logger: Logger): void
}

/** `options` are read at each call: the root of the app may change before the first output. */
export function openReporter(options: () => ResolvedOptions): BuildReporter {
  const summary = newSummary()
  const events: BuildEvent[] = []
  const startProgress = liveProgress(liveLine(process.stderr))
  const listeners: ((event: LiveEvent) => void)[] = []
  const lastSeconds = new Map<string, number>()
  const tell = (event: LiveEvent) => listeners.forEach((listener) => listener(event))
  let compiling = 0
  let pause: NodeJS.Timeout | undefined
  const onEvent = (event: BuildEvent) => {
    summary.add(event)
    events.push(event)
    tell(event)
    if (event.event === 'engine' && !event.hit) lastSeconds.set(event.file, event.seconds)
  }
  const print = async (logger: Logger) => {
    clearTimeout(pause)
    const { events: file, root } = options()
    summary.print(logger, options())
    if (file === undefined || events.length === 0) return
    const { writeEvents } = await import('./event-file.ts')
    await writeEvents(file, events, root, logger)
  }
  return {
    context: ({ isLive = false }) => (isLive ? { onEvent, startProgress } : { onEvent }),
    follow: (listener) => void listeners.push(listener),
    begin(file) {
      compiling++
      clearTimeout(pause)
      tell({ event: 'started', model: basename(file, '.onnx'), file, lastSeconds: lastSeconds.get(file) ?? null })
    },
    fail: (file, error) => tell({ event: 'failed', model: basename(file, '.onnx'), file, message: textOf(error) }),
    end(logger, isServed) {
      const milliseconds = isServed ? pauses.served : pauses.built
      if (--compiling === 0) pause = setTimeout(() => void print(logger), milliseconds).unref()
    },
    newBuild() {
      events.length = 0
    },
    print,
    advise(logger) {
      const lines = summary.advice()
      if (lines.length > 0) logger.log(lines.join('\n'))
    },
  }
}

/** Milliseconds after the last model. A program that loads models through Bun's plugin has no end of a build either. */
const pauses = { served: 300, built: 5000 } as const
