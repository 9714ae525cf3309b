import { infer } from '../lib/infer.js'

// At each request: a page without this is rendered once, while Next.js builds.
export const dynamic = 'force-dynamic'

export default async function Page() {
  return <p>{JSON.stringify(await infer('1,2,3,4'))}</p>
}
