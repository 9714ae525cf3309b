import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The folders of the packages that these modules are part of, in order of their names. */
export function packagesOf(modules: readonly string[]): readonly string[] {
  const folders = modules.flatMap(
    (id) => /.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id.replaceAll('\\', '/'))?.[0] ?? [],
  )
  return [...new Set(folders)].sort()
}

/**
 * The licences of packages in one text: name, version, licence and its own words. Throws for a package that has none.
 */
export function licenceText(folders: readonly string[]): string {
  const parts = folders.map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      name: string
      version: string
      license?: string
    }
    const file = readdirSync(folder).find((entry) => /^(?:licen[cs]e|copying)/i.test(entry))
    const text = file === undefined ? undefined : readFileSync(join(folder, file), 'utf8').trim()
    if (license === undefined && text === undefined) throw new Error(`${name} has no licence`)
    return `${name} ${version} (${license})\n\n${text ?? 'Its package has no other text.'}\n`
  })
  return [`Parts of these packages are in this one.\n`, ...parts].join(`\n${'-'.repeat(80)}\n\n`)
}
