import { infer } from '../models/infer.js'

export async function GET({ url }: { url: URL }): Promise<Response> {
  return Response.json(await infer(url.searchParams.get('x')))
}
