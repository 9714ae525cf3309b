import { render } from 'preact'
import { App } from './app.tsx'
import { start } from './state.ts'
import { followTheme } from './theme.ts'

followTheme()
const place = document.querySelector('#app')
if (place) render(<App />, place)
void start()
