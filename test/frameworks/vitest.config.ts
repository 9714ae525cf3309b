import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// Apart from the other tests: each framework is hundreds of megabytes of packages, and builds for half a minute.
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: { include: ['test/frameworks/*.spec.ts'], testTimeout: 300_000, hookTimeout: 600_000, maxWorkers: 1 },
})
