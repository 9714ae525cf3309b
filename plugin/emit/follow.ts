import { readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { glob } from 'tinyglobby'
import { type EngineAsset, engineNames } from './asset.ts'
import { copyEngine } from './copy-engine.ts'

/**
 * Copies engines into `folder` next to every script below `root` that uses them and was written after `since`. For
 * frameworks that bundle an output again and copy no files: their adapter alone knows where its output is. Returns the
 * folders of those scripts.
 */
export async function followEngines(
  assets: ReadonlyMap<string, EngineAsset>,
  { root, folder, since }: { readonly root: string; readonly folder: string; readonly since: number },
): Promise<readonly string[]> {
  const ignore = ['**/node_modules/**', '**/.git/**', '**/.svelte-kit/**']
  const folders = new Set<string>()
  for (const file of await glob('**/*.{js,mjs,cjs}', { cwd: root, absolute: true, dot: true, ignore })) {
    if ((await stat(file)).mtimeMs < since) continue
    for (const name of engineNames(await readFile(file, 'utf8'), folder)) {
      const asset = assets.get(name)
      if (asset === undefined) continue
      await copyEngine(asset, join(dirname(file), folder))
      folders.add(dirname(file))
    }
  }
  return [...folders]
}
