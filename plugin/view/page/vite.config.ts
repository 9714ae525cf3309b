import { defineConfig } from 'vite'

/** The page is a part of the package: it loads nothing from elsewhere, and works below any path. */
export default defineConfig({
  base: './',
  logLevel: 'warn',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../../../dist/view',
    emptyOutDir: true,
    target: 'es2023',
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.md' },
  },
  worker: { format: 'es' },
})
