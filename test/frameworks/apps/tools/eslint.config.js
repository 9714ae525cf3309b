import imports from 'eslint-plugin-import'
import importsX from 'eslint-plugin-import-x'

export default [
  { ...imports.flatConfigs.recommended, settings: { 'import/resolver': { typescript: true } } },
  importsX.flatConfigs.recommended,
  { languageOptions: { ecmaVersion: 2024, sourceType: 'module' } },
]
