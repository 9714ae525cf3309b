import { infer } from '../models/infer.js'

// Only the server has this function: React Router removes it, and the import of the model, from the client's code.
export const loader = () => infer('1,2,3,4')

export default function Home({ loaderData }) {
  return <p>{JSON.stringify(loaderData)}</p>
}
