/** How a file that is no ONNX model becomes one. */
export interface ConvertRule {
  /**
   * The program and its arguments, run in the root without a shell. `{input}` stands for the imported file or folder,
   * and `{output}` for the `.onnx` file that it must write. Programs of `node_modules/.bin` are found. Arguments that
   * name files count as `inputs`.
   */
  readonly command: readonly string[]
  /** Globs of other files that the result depends on, from the root: scripts, lists of package versions. */
  readonly inputs?: readonly string[]
  /** A command that prints the version of the program: a new version converts again. Runs once in each build. */
  readonly version?: readonly string[]
  /** New names of inputs and outputs, by the names that the program gives them. */
  readonly rename?: Readonly<Record<string, string>>
  /** Names of dims by input or output (its new name), one for each dim; null keeps what is there. */
  readonly dims?: Readonly<Record<string, readonly (string | null)[]>>
  /** Time after which the program is ended: milliseconds, or text such as `'30m'`. */
  readonly timeout?: number | string
}

/** Rules by the end of a file's name, such as `.pt2`, or by a whole name, such as `saved_model`. */
export type ConvertOptions = Readonly<Record<string, ConvertRule>>
