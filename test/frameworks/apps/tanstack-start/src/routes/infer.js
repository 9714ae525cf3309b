import { createFileRoute } from '@tanstack/react-router'
import { infer } from '../models/infer.js'

export const Route = createFileRoute('/infer')({
  server: {
    handlers: {
      GET: async ({ request }) => Response.json(await infer(new URL(request.url).searchParams.get('x'))),
    },
  },
})
