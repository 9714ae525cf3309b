import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Gpu } from '../../native/load-addon.ts'

/** A figure that the suite measured on a GPU. */
export interface Figure {
  /** What was measured, such as `the detector, cudaGraph auto`. */
  readonly what: string
  /** Product and release, such as `TensorRT 10.15.1`. */
  readonly library: string
  readonly value: number
  readonly unit: 'ms' | 'cosine'
  /** The same by other means, in the same run: C++, trtexec. */
  readonly beside?: Readonly<Record<string, number>>
}

/** What one run of the suite measured, and on what. */
export interface GpuReport {
  readonly gpu: Gpu & { readonly driver: string }
  readonly figures: readonly Figure[]
}

/** Writes the report as JSON. */
export function writeReport(file: string, report: GpuReport): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
}

/** The report as a table for docs/nvidia.md. */
export function reportTable({ gpu, figures }: GpuReport): string {
  const rows = figures.map(({ what, library, value, unit, beside = {} }) => {
    const others = Object.entries(beside).map(
      ([name, other]) => `${name} ${number(other)} ${unit}, ${(value / other).toFixed(2)}×`,
    )
    return `| ${what} | ${library} | ${number(value)} ${unit} | ${others.join('; ')} |`
  })
  const title = `On ${gpu.name} (${gpu.computeCapability}), driver ${gpu.driver}:`
  return [title, '', '| What | Library | Result | Beside |', '| --- | --- | --- | --- |', ...rows, ''].join('\n')
}

function number(value: number): string {
  return value.toPrecision(4)
}
