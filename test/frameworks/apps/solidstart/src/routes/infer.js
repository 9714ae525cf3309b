import { infer } from '../models/infer.js'

export async function GET({ request }) {
  return Response.json(await infer(new URL(request.url).searchParams.get('x')))
}
