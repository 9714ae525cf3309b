import type { CompiledModule } from './start-record.ts'

/**
 * Called in the thread that loads a model. No other process removes its engines while this one runs, and `node --watch`
 * learns of the files that it cannot see: the model, its external data and the options.
 */
export function keepModel({ files, digests, cacheDir }: CompiledModule): void {
  if (process.env['WATCH_REPORT_DEPENDENCIES']) process.send?.({ 'watch:require': files })
  void lease(cacheDir, digests)
}

// After the app has started: nothing waits for it.
async function lease(cacheDir: string, digests: readonly string[]): Promise<void> {
  const [{ folderAt, touch }, { openLeases }] = await Promise.all([
    import('../cache/folder.ts'),
    import('../cache/leases.ts'),
  ])
  const folder = folderAt(cacheDir)
  const leaseEngine = openLeases(folder)
  for (const digest of digests) {
    await leaseEngine(digest)
    await touch(folder.used(digest))
  }
}
