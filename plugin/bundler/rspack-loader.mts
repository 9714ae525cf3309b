/** The part of a loader's context that is used here. */
export interface RspackLoader {
  /** Path and query of the module. */
  readonly resource: string
  readonly resourceQuery: string
  readonly query: { load(loader: RspackLoader): Promise<string | undefined> }
  addDependency(file: string): void
  cacheable(is: boolean): void
  async(): (error: unknown, code?: string) => void
}

/** Returns the module of a model before Rspack reads the model's file as text. */
export function pitch(this: RspackLoader): void {
  const done = this.async()
  // Without a module, Rspack reads the file as usual.
  this.query.load(this).then((code) => (code === undefined ? done(null) : done(null, code)), done)
}
