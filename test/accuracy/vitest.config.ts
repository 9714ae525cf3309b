import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { fromSource } from '../support/from-source.ts'

// Apart from the other tests: real nets in every precision of every backend take minutes.
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  plugins: [fromSource()],
  test: {
    include: ['test/accuracy/*.spec.ts'],
    globalSetup: ['test/support/built.ts'],
    testTimeout: 1_800_000,
    hookTimeout: 240_000,
    maxWorkers: 1,
  },
})
