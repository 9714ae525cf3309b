import { infer } from '../models/infer.js'

export const loader = async ({ request }) => Response.json(await infer(new URL(request.url).searchParams.get('x')))
