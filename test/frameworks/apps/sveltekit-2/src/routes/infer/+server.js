import { json } from '@sveltejs/kit'
import { infer } from '../../lib/infer.js'

export const GET = async ({ url }) => json(await infer(url.searchParams.get('x')))
