import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// Apart from the other tests: the servers are 1 GB of Python packages, and take half a minute to start.
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: { include: ['test/servers/*.spec.ts'], testTimeout: 120_000, hookTimeout: 600_000, maxWorkers: 1 },
})
