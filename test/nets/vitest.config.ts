import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { fromSource } from '../support/from-source.ts'

// Apart from the other tests: 250 MB of packages, and half an hour of builds.
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  plugins: [fromSource()],
  test: { include: ['test/nets/*.spec.ts'], testTimeout: 600_000, hookTimeout: 600_000, maxWorkers: 1 },
})
