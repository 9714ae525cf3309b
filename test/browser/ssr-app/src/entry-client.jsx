import { hydrateRoot } from 'react-dom/client'
import { App } from './App.jsx'

const first = JSON.parse(document.getElementById('first').textContent)
hydrateRoot(document.getElementById('root'), <App first={first} />)
