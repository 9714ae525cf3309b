import { useState } from 'react'
import { classify, height, width } from './classify.js'

/** Rendered on the server with the result for an empty image. In the page, the user picks another one. */
export function App({ first }) {
  const [result, setResult] = useState(first)
  const pick = async ({ target }) => {
    const image = await createImageBitmap(target.files[0], { resizeWidth: width, resizeHeight: height })
    const context = new OffscreenCanvas(width, height).getContext('2d')
    context.drawImage(image, 0, 0)
    setResult(await classify(context.getImageData(0, 0, width, height).data))
  }
  return (
    <main>
      <input type="file" accept="image/*" onChange={pick} />
      <p id="result">
        {result.upright.toFixed(6)} upright, by {result.backend} in {result.milliseconds.toFixed(1)} ms
      </p>
    </main>
  )
}
