/** The files that run models in a page, by what they are for. */
export const webFiles = ['worker', 'library', 'loader', 'wasm'] as const
export type WebFile = (typeof webFiles)[number]
