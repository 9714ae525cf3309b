/** Prints the result of a command: one value on stdout and nothing else, as JSON or as text. */
export function printResult(json: boolean | undefined, data: unknown, text: string): void {
  console.log(json ? JSON.stringify(data, null, 2) : text)
}
