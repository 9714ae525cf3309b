import { defineEventHandler, getQuery } from 'h3'
import { infer } from '../../models/infer.js'

export default defineEventHandler((event) => infer(String(getQuery(event)['x'])))
