import type { CAC } from 'cac'
import { oneOf, validate } from '../options/validators.ts'
import { optionText, optionTexts } from './arguments.ts'
import { printResult } from './print.ts'
import { type InstallableName, installables, setUpLibrary } from './set-up-library.ts'

/** `unplugin-onnx setup`: downloads an engine library. */
export function addSetupCommand(cli: CAC): void {
  cli
    .command('setup <library>', `Download an engine library into the user's cache folder: ${names.join(', ')}`)
    .option('--index-url <url>', `Python package index to download from (default: pip's own)`)
    .option('--accept-license', 'You have read the license of the library and agree to it (tensorrt-rtx)')
    .option('--json', optionTexts.json)
    .action(async (name: string, { json, acceptLicense }: { json?: boolean; acceptLicense?: boolean }) => {
      const library = validate(oneOf(names), name, 'OPTION_INVALID', () => 'unplugin-onnx setup')
      const indexUrl = optionText(cli, 'index-url')
      const folder = await setUpLibrary(library, { indexUrl, acceptLicense, log: console.error })
      printResult(json, { library, folder }, folder)
    })
}

const names = Object.keys(installables) as InstallableName[]
