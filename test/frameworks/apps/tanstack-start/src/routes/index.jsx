import { createFileRoute } from '@tanstack/react-router'
import { createServerFn } from '@tanstack/react-start'
import { infer } from '../models/infer.js'

const answer = createServerFn().handler(() => infer('1,2,3,4'))

export const Route = createFileRoute('/')({ loader: () => answer(), component: Home })

function Home() {
  return <p>{JSON.stringify(Route.useLoaderData())}</p>
}
