import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { runNpm } from './package-managers.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))

/** The packages that are published, by the names of their folders. */
export type PublishedPackage = 'unplugin-onnx' | 'runtime'

/** Builds the packages as they are published into a folder, and returns the folder of each. */
export async function builtPackages(folder: string): Promise<Readonly<Record<PublishedPackage, string>>> {
  await promisify(execFile)(process.execPath, [join(repository, 'dist/plugin/packaging/build.js'), folder])
  return { 'unplugin-onnx': join(folder, 'unplugin-onnx'), runtime: join(folder, 'runtime') }
}

/** Packs a package as it is published. Returns the path of the tarball in `folder`. */
export async function packed(folder: string, name: PublishedPackage = 'unplugin-onnx'): Promise<string> {
  const { [name]: source } = await builtPackages(join(folder, 'packages'))
  const tarball = await runNpm(source, 'pack', '--silent', '--ignore-scripts', '--pack-destination', folder)
  return join(folder, tarball.trim())
}

/** What npm would put into a tarball of a package. */
export async function packageContents(
  folder: string,
): Promise<{ readonly paths: readonly string[]; readonly bytes: number }> {
  const [{ files, unpackedSize }] = JSON.parse(
    await runNpm(folder, 'pack', '--dry-run', '--json', '--ignore-scripts'),
  ) as [{ files: readonly { readonly path: string }[]; unpackedSize: number }]
  return { paths: files.map(({ path }) => path), bytes: unpackedSize }
}
