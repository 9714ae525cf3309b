import type { CAC } from 'cac'
import { readManifest } from '../../runtime/load.ts'
import { readModel } from '../onnx/model.ts'
import { optionTexts } from './arguments.ts'
import { printResult } from './print.ts'
import { manifestReport, modelReport } from './reports.ts'

/** `unplugin-onnx inspect`: describes a model without compiling it, or the engines that `build` wrote. */
export function addInspectCommand(cli: CAC): void {
  cli
    .command(
      'inspect <model>',
      'Print the inputs, outputs, opsets and weights of a model, or the engines of a manifest',
    )
    .option('--json', optionTexts.json)
    .action(async (file: string, { json }: { json?: boolean }) => {
      if (/\.json$/i.test(file)) {
        const manifest = await readManifest(file)
        printResult(json, manifest, manifestReport(manifest))
        return
      }
      const model = await readModel(file)
      printResult(json, model, modelReport(model))
    })
}
