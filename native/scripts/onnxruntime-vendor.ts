import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'

// ONNX Runtime publishes its headers with its releases, and to no package registry; this module of Go's has a copy. The
// digests are of the files themselves.
const source = { module: 'github.com/yalue/onnxruntime_go', version: 'v1.27.0' } as const
const headers = {
  'onnxruntime_c_api.h': '9ed0d7054a4e74249467365b25b415d36f51a44a6349e2a994a1812e4723d1e2',
  'onnxruntime_ep_c_api.h': 'e94ac3490697bdb107844fa9d403952ee7136134132a057eae5c1207b57ce352',
} as const

/**
 * Fetches the header of ONNX Runtime's C API into `vendor` when it is not there yet. Returns what CMake needs to know.
 */
export function fetchOnnxRuntime(vendor: string): Readonly<Record<string, string>> {
  const folder = path.join(vendor, `onnxruntime-headers-${source.version}`)
  if (!existsSync(folder)) fetchHeaders(folder)
  return { ONNXRUNTIME_HEADERS: folder }
}

function fetchHeaders(folder: string): void {
  const command = ['mod', 'download', '-json', `${source.module}@${source.version}`]
  const { Dir } = JSON.parse(execFileSync('go', command, { encoding: 'utf8' })) as { readonly Dir: string }
  mkdirSync(path.dirname(folder), { recursive: true })
  const temporary = mkdtempSync(`${folder}-`)
  try {
    for (const [name, sha256] of Object.entries(headers)) {
      const file = path.join(Dir, name)
      if (createHash('sha256').update(readFileSync(file)).digest('hex') !== sha256)
        throw new Error(`${source.module} ${source.version}: the SHA-256 of ${name} is not ${sha256}`)
      copyFileSync(file, path.join(temporary, name))
    }
    renameSync(temporary, folder)
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}
