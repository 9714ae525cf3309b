import { testFramework } from './test-framework.ts'

testFramework({
  name: 'solidstart',
  sources: 'src/models',
  build: ['vite', 'build'],
  dev: ['vite', 'dev', '--port', 'PORT', '--host', '127.0.0.1'],
  output: '.output',
  start: ['server/index.mjs'],
  route: '/infer',
  page: '/',
})
