import { fileURLToPath } from 'node:url'
import { testFramework } from './test-framework.ts'

testFramework({
  name: 'tanstack-start',
  sources: 'src/models',
  build: ['vite', 'build'],
  dev: ['vite', 'dev', '--port', 'PORT', '--host', '127.0.0.1'],
  output: 'dist',
  start: [fileURLToPath(new URL('serve-fetch.mjs', import.meta.url)), 'server/server.js'],
  needsPackages: true,
  route: '/infer',
  page: '/',
})
