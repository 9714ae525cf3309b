import { useEffect, useState } from 'react'
import { infer } from './models/infer.js'

function Answer() {
  const [text, setText] = useState('')
  useEffect(() => {
    infer('1,2,3,4').then((results) => setText(JSON.stringify(results)))
  }, [])
  return <output>{text}</output>
}

export default { component: Answer }
export const Plain = {}
