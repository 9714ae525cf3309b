import { defineHandler } from 'nitro/h3'
import { infer } from '../models/infer.js'

export default defineHandler((event) => infer(event.url.searchParams.get('x')))
