/** Prints an answer of the command: as JSON, or as text for people. */
export function print(json: boolean | undefined, data: unknown, text: string): void {
  console.log(json ? JSON.stringify(data, null, 2) : text)
}
