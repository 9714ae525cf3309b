import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { fromSource } from '../support/from-source.ts'

// Apart from the other tests: all cases on both backends take some minutes.
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  plugins: [fromSource()],
  test: { include: ['test/operators/*.spec.ts'], testTimeout: 1_800_000, hookTimeout: 600_000, maxWorkers: 2 },
})
