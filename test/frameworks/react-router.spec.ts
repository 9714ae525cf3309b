import { testFramework } from './test-framework.ts'

testFramework({
  name: 'react-router',
  sources: 'app/models',
  build: ['react-router', 'build'],
  dev: ['react-router', 'dev', '--port', 'PORT', '--host', '127.0.0.1'],
  output: 'build',
  start: ['node_modules/.bin/react-router-serve', 'server/index.js'],
  needsPackages: true,
  route: '/infer',
  page: '/',
})
