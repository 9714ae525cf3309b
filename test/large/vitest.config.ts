import { defineConfig } from 'vitest/config'
import { fromSource } from '../support/from-source.ts'

/** Models of more than 2 GiB: gigabytes of disk and memory, so not part of `npm test`. */
export default defineConfig({
  plugins: [fromSource()],
  test: {
    include: ['test/large/*.spec.ts'],
    testTimeout: 600_000,
    maxWorkers: 1,
    globalSetup: ['test/support/built.ts'],
  },
})
