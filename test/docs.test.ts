import { expect, it } from 'vitest'
import { errorsPage, optionsPage } from './docs.ts'

// `npm run docs` writes the tables.
it('docs/options.md lists every option with its type, default and meaning', async () => {
  await expect(await optionsPage()).toMatchFileSnapshot('../docs/options.md')
})

it('docs/errors.md lists every error code with its meaning', async () => {
  await expect(await errorsPage()).toMatchFileSnapshot('../docs/errors.md')
})
