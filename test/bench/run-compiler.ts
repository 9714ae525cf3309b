interface Compiler {
  run(done: (error: Error | null, stats?: { hasErrors(): boolean }) => void): void
}

/** One build of webpack or Rspack. Rejects with what it reports. */
export function runCompiler(compiler: Compiler | null): Promise<void> {
  return new Promise((done, reject) => {
    compiler?.run((error, stats) => (error || stats?.hasErrors() ? reject(error ?? new Error(String(stats))) : done()))
  })
}
