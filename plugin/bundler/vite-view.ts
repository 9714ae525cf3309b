import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Project } from '../project/project.ts'
import type { ViewSite } from '../view/answer.ts'
import type { LiveLine } from '../view/contract.ts'

type Respond = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void

/** The most events that are kept for a page that opens late. */
const mostEvents = 200

/** The page of `unplugin-onnx view` at `/__onnx/` of a dev server. Its code is loaded by the first visit. */
export function viewOfBuild(project: Project): Respond {
  const past: LiveLine[] = []
  let send = (line: LiveLine): void => {
    past.push(line)
    if (past.length > mostEvents) past.shift()
  }
  project.follow((event) => send({ event, at: Date.now() }))
  let site: Promise<ViewSite> | undefined
  const open = async (): Promise<ViewSite> => {
    const opened = await openSite(project)
    for (const line of past) opened.live.send(line)
    send = (line) => opened.live.send(line)
    return opened
  }
  return (request, response, next) => {
    const { originalUrl = '', url = '/' } = request as IncomingMessage & { readonly originalUrl?: string }
    const [path = ''] = originalUrl.split('?', 1)
    // Addresses in the page are relative to its folder.
    if (path.endsWith('__onnx')) return void response.writeHead(302, { Location: `${path}/` }).end()
    const respond = async (): Promise<void> => {
      const { answer } = await import('../view/answer.ts')
      await answer(await (site ??= open()), url, request, response)
    }
    respond().catch(next)
  }
}

async function openSite({ options }: Project): Promise<ViewSite> {
  const [{ liveEvents }, { readPageFiles }, { viewData }] = await Promise.all([
    import('../view/live.ts'),
    import('../view/page-files.ts'),
    import('../view/view-data.ts'),
  ])
  const user = { root: options.root, cache: { dir: options.cache.dir } }
  const data = await viewData({ path: options.root, options, user, isLive: true })
  return { files: await readPageFiles(), data, live: liveEvents() }
}
