import { resolve } from 'node:path'
import type { CAC, Command } from 'cac'
import { inspectFile } from '../inspect/inspect-file.ts'
import { modelOptionsOf, resolveOptions } from '../options/resolve.ts'
import type { Options } from '../options/types.ts'
import { colouredPaint } from '../terminal/colour.ts'
import { modelCommandOptions, requestOf } from './arguments.ts'
import { convertedFile } from './converted-file.ts'
import { inspectText } from './inspect-text.ts'
import { layersReport, readLayers } from './layers-report.ts'
import { printResult } from './print.ts'
import { optionTexts } from './usage.ts'

interface InspectFlags {
  readonly deep?: boolean
  readonly json?: boolean
}

/** `unplugin-onnx inspect`: describes a model, an engine, a manifest or the output of a build. */
export function addInspectCommand(command: Command, cli: CAC): void {
  command
    .option('--shapes <shapes>', 'Dims of the inputs that costs are computed for, such as image:1x3x224x224')
    .option('--target <names>', 'As for build: what would be refused for these')
    .option(
      '--deep',
      'Show what each precision would lower in a model of more than 256 MB too, which reads all weights',
    )
    .option('--root <dir>', optionTexts.root)
    .option('--json', optionTexts.json)
    .action(async (file: string, { deep = false, json }: InspectFlags) => {
      if (/\.layers\.json$/i.test(file)) {
        const layers = await readLayers(file)
        return printResult(json, layers, layersReport(layers))
      }
      const options = optionsOf(cli, file)
      const onnx = await convertedFile(file, resolveOptions(options))
      const inspection = { ...(await inspectFile(onnx, { options, deep })), file: resolve(file) }
      printResult(json, inspection, inspectText(inspection, colouredPaint(process.stdout)))
    })
}

// The file need not be a model, and its name no request.
function optionsOf(cli: CAC, file: string): Options {
  const { query } = requestOf(cli, 'model.onnx', ['shapes', 'target'])
  return modelCommandOptions(cli, file, modelOptionsOf(query))
}
