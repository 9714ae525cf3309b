import { createAsync, query } from '@solidjs/router'
import { infer } from '../models/infer.js'

const answer = query(async () => {
  'use server'
  return infer('1,2,3,4')
}, 'answer')

export default function Home() {
  const results = createAsync(() => answer(), { deferStream: true })
  return <p>{JSON.stringify(results())}</p>
}
