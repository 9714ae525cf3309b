import { expect, test } from 'vitest'
import { isInRange } from '../../plugin/doctor/version-range.ts'

test.each([
  ['20.19.0', '^20.19.0 || >=22.12.0', true],
  ['20.18.9', '^20.19.0 || >=22.12.0', false],
  ['21.0.0', '^20.19.0 || >=22.12.0', false],
  ['22.11.0', '^20.19.0 || >=22.12.0', false],
  ['24.0.0', '^20.19.0 || >=22.12.0', true],
  ['1.31.0', '^1.30.0', true],
  ['1.29.9', '^1.30.0', false],
  ['2.0.0', '^1.30.0', false],
  ['0.8.4', '^0.7.13 || ^0.8.0', true],
  ['0.9.0', '^0.7.13 || ^0.8.0', false],
  ['1.30.0-rc.1', '^1.30.0', true],
])('%s in %s: %s', (version, range, expected) => {
  expect(isInRange(version, range)).toBe(expected)
})
