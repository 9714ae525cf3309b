import { spawn } from 'node:child_process'

/** Opens the user's browser; false if there is none. */
export function openBrowser(url: string): Promise<boolean> {
  const [command, ...args] = openers[process.platform] ?? ['xdg-open']
  return new Promise((resolve) => {
    const child = spawn(command ?? '', [...args, url], { stdio: 'ignore', detached: true })
    child.once('error', () => resolve(false))
    // Some openers stay for as long as the browser does.
    const patience = setTimeout(() => resolve(true), 3000)
    child.once('exit', (code) => {
      clearTimeout(patience)
      resolve(code === 0)
    })
    child.unref()
  })
}

const openers: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
}
