interface Rule {
  create(
    context: object,
  ): Record<string, (node: object) => void> & Record<'ImportDeclaration' | 'Program', (node: object) => void>
}

declare const house: { readonly rules: Readonly<Record<'floors' | 'width', Rule>> }

export default house
