import { infer } from '../../lib/infer.js'

export async function GET(request: Request) {
  return Response.json(await infer(new URL(request.url).searchParams.get('x')))
}
