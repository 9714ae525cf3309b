import type { CAC } from 'cac'
import { readModel } from '../onnx/model.ts'
import { optionTexts } from './arguments.ts'
import { printResult } from './print.ts'
import { modelReport } from './reports.ts'

/** `unplugin-onnx inspect`: describes a model without compiling it. */
export function addInspectCommand(cli: CAC): void {
  cli
    .command('inspect <model>', 'Print the inputs, outputs, opsets and weights of a model')
    .option('--json', optionTexts.json)
    .action(async (file: string, { json }: { json?: boolean }) => {
      const model = await readModel(file)
      printResult(json, model, modelReport(model))
    })
}
