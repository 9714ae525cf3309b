import { expect, it } from 'vitest'
import { errorsPage, optionsPage } from './docs.ts'

// `npm run docs` writes the tables.
it('docs/options.md tells every option as it is', async () => {
  await expect(await optionsPage()).toMatchFileSnapshot('../docs/options.md')
})

it('docs/errors.md tells every error code as it is', async () => {
  await expect(await errorsPage()).toMatchFileSnapshot('../docs/errors.md')
})
