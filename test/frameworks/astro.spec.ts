import { testFramework } from './test-framework.ts'

testFramework({
  name: 'astro',
  sources: 'src/models',
  build: ['astro', 'build'],
  dev: ['astro', 'dev', '--port', 'PORT', '--host', '127.0.0.1'],
  output: 'dist',
  start: ['server/entry.mjs'],
  route: '/infer',
  page: '/',
})
