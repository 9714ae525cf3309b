import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { fromSource } from '../support/from-source.ts'

// Apart from the other tests: with CI=true none of those may be skipped, and machines of CI have no GPU.
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  plugins: [fromSource()],
  test: { include: ['test/gpu/*.spec.ts'], testTimeout: 300_000, hookTimeout: 300_000, maxWorkers: 1 },
})
