import type { Bindings } from '../../runtime/manifest.ts'
import type { ModelImport } from '../imports/model-import.ts'
import type { ResolvedOptions } from '../options/schema.ts'
import type { TypesReport } from '../types/write.ts'

/** Writes types for the imports that a bundler resolves, in the background of the build. */
export interface TypedImports {
  /** Remembers an import of the module with this id, and writes its types if the model's bindings are known. */
  record(id: string, item: ModelImport): void
  /** Writes the types of every import of a module. Without bindings, the header of the model is read. */
  declare(id: string, bindings?: Bindings): void
  /** Waits until all types are written. Returns problems and notes, one line each. */
  finish(): Promise<readonly string[]>
}

/** `options` are read at each call: the root of the app may change before the first import. */
export function typedImports(options: () => ResolvedOptions): TypedImports {
  const importsOf = new Map<string, Map<string, ModelImport>>()
  const bindingsOf = new Map<string, Bindings>()
  const reports = new Set<Promise<TypesReport>>()

  function write(item: ModelImport): void {
    const { root, types } = options()
    if (types === false) return
    const report = import('../types/write.ts').then(({ recordImport }) => recordImport({ root, dir: types.dir }, item))
    // Awaited at the end of the build, which may come long after a rejection: Node.js must not call it unhandled.
    report.catch(() => {})
    reports.add(report)
  }

  return {
    record(id, item) {
      const imports = importsOf.get(id) ?? new Map<string, ModelImport>()
      importsOf.set(id, imports.set(JSON.stringify([item.importer, item.specifier]), item))
      const bindings = bindingsOf.get(id)
      if (bindings !== undefined) write({ ...item, bindings })
    },
    declare(id, bindings) {
      if (bindings !== undefined) bindingsOf.set(id, bindings)
      for (const item of importsOf.get(id)?.values() ?? []) write({ ...item, ...(bindings && { bindings }) })
    },
    async finish() {
      const waiting = [...reports]
      reports.clear()
      const lines = (await Promise.all(waiting)).flatMap(({ problems, notes }) => [
        ...problems.map(({ message }) => message),
        ...notes,
      ])
      return [...new Set(lines)]
    },
  }
}
