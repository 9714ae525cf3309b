import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Plugin, rolldown } from 'rolldown'
import { dts } from 'rolldown-plugin-dts'

export interface DeclarationsRequest {
  /** What tsc wrote. */
  readonly dist: string
  /** The `dist` of the package. */
  readonly output: string
  /** Scripts of `dist` whose declarations apps see. */
  readonly entries: readonly string[]
  /** Packages whose declarations are inside, since no app installs them for us. */
  readonly inside: readonly string[]
}

/** Rolls up the declarations of entries: one file each, and files that several of them share. */
export async function rollUpDeclarations({ dist, output, entries, inside }: DeclarationsRequest): Promise<void> {
  const build = await rolldown({
    input: Object.fromEntries(
      entries.map((file) => [file.replace(/\.js$/, '.d'), join(dist, file.replace(/js$/, 'd.ts'))]),
    ),
    platform: 'node',
    external: (id) => /^[@a-z]/.test(id) && !inside.includes(id),
    plugins: [dts({ dtsInput: true, emitDtsOnly: true }), keepReferences, ignoreOtherBundlers],
    logLevel: 'silent',
  })
  await build.write({
    dir: output,
    format: 'es',
    entryFileNames: '[name].ts',
    chunkFileNames: ({ name }) => `types/${name.replace(/\.d$/, '')}.d.ts`,
  })
  await build.close()
}

/** Keeps lines such as `/// <reference lib="esnext.disposable" />`, which the bundler drops as comments. */
const keepReferences: Plugin = {
  name: 'keep-references',
  generateBundle(_, files) {
    for (const file of Object.values(files)) {
      if (file.type !== 'chunk') continue
      const lines = file.moduleIds.flatMap((id) => readFileSync(id, 'utf8').match(/^\/\/\/ <reference .*$/gm) ?? [])
      file.code = [...new Set(lines), file.code].join('\n')
    }
  },
}

/** An app has one of the bundlers of unplugin; without this, the types of the others are errors of its compiler. */
const ignoreOtherBundlers: Plugin = {
  name: 'ignore-other-bundlers',
  generateBundle(_, files) {
    for (const file of Object.values(files)) {
      if (file.type !== 'chunk' || !file.moduleIds.some((id) => /[\\/]node_modules[\\/]unplugin[\\/]/.test(id)))
        continue
      file.code = file.code.replace(/^import .* from "[@a-z][^"]*";$/gm, '// @ts-ignore\n$&')
    }
  },
}
