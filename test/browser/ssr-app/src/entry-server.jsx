import { renderToString } from 'react-dom/server'
import { App } from './App.jsx'
import { classify, height, width } from './classify.js'

/** The page as HTML, and the data that it was rendered from. */
export async function render() {
  const first = await classify(new Uint8Array(width * height * 4))
  return { first, html: renderToString(<App first={first} />) }
}
