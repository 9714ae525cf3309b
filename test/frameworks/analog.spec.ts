import { testFramework } from './test-framework.ts'

testFramework({
  name: 'analog',
  sources: 'src/server/models',
  build: ['vite', 'build'],
  dev: ['vite', 'dev', '--port', 'PORT', '--host', '127.0.0.1'],
  output: 'dist/analog',
  start: ['server/index.mjs'],
  route: '/api/infer',
  page: '/',
})
