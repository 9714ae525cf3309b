import type { Plugin } from 'rolldown'

const declaration = /^const (require(?:\$\d+)?) = createRequire(?:\$\d+)?\(import\.meta\.url\);\n/gm
const openedWorker = /new URL\(["'](\.[^"']+\.cjs)["'], import\.meta\.url\)/g

/**
 * Keeps chunks of the runtime readable for tracers of hosts (nft and similar), which copy what code leads to. They know
 * `require` by its name alone, where modules that each make their own get `require$1` and so on; and they follow no
 * worker: that of ONNX Runtime is required by a function that nothing calls, which the bundler drops.
 */
export function keepTraces(): Plugin {
  return {
    name: 'keep-traces',
    renderChunk(code, { fileName }) {
      if (!fileName.startsWith('runtime/')) return undefined
      const workers = new Set(Array.from(code.matchAll(openedWorker), ([, path = '']) => path))
      const single = withOneRequire(code)
      if (workers.size === 0) return single
      const calls = Array.from(workers, (path) => `require(${JSON.stringify(path)})`).join(', ')
      const note = '// Never called: it shows tracers the worker, and what that requires.'
      return `${single}\n${note}\nfunction traced() { return [${calls}]; }\n`
    },
  }
}

function withOneRequire(code: string): string {
  const names = Array.from(code.matchAll(declaration), ([, name = '']) => name)
  if (names.every((name) => name === 'require')) return code
  let isFirst = true
  const single = code.replaceAll(declaration, (text) => {
    const kept = isFirst ? text : ''
    isFirst = false
    return kept
  })
  const escaped = names.map((name) => name.replaceAll('$', '\\$')).join('|')
  return single.replaceAll(new RegExp(`(?<![\\w$.])(?:${escaped})(?![\\w$])`, 'g'), 'require')
}
