import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { isAbsolute, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { install, writeFiles } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { affineModel } from '../support/models.ts'

const namespaces = ['--user', '--map-root-user', '--net', '--mount']
const example = fileURLToPath(new URL('../deploy/container', import.meta.url))
const app = tempFolder()
const image = tempFolder()
const writable = tempFolder()

test('the Dockerfile copies nothing but the output, which its image starts', () => {
  const [, final = ''] = readFileSync(join(example, 'Dockerfile'), 'utf8').split(/^FROM .*\n(?=COPY --from)/m)
  expect(final.match(/^(?:COPY|ADD|RUN) .*/gm)).toEqual(['COPY --from=build /app/dist /app'])
  expect(final).toContain('CMD ["node", "/app/server.js"]')
})

describe.skipIf(reasonToSkip() !== undefined)(
  'container of Node.js, its libraries and the output of the example',
  () => {
    beforeAll(async () => {
      cpSync(example, app, { recursive: true })
      writeFiles(app, { 'src/model.onnx': affineModel({ weight: 2 }) })
      install(app, ['unplugin-onnx', 'onnxruntime-node', 'vite'])
      await build({
        root: app,
        configFile: join(app, 'vite.config.js'),
        logLevel: 'silent',
        build: { ssr: 'src/server.js' },
      })
      for (const folder of ['proc', 'tmp']) mkdirSync(join(image, folder))
      cpSync(join(app, 'dist'), join(image, 'app'), { recursive: true })
      cpSync(process.execPath, join(image, 'node'))
      for (const file of librariesOfNode()) cpSync(file, join(image, file), { dereference: true })
    })

    test('the container serves the model without network, packages or a place to write', async () => {
      const container = start(`/tmp/socket`)
      await once(container.stdout, 'data')
      expect(await post('[1,2,3,4]')).toBe('[3,5,7,9]')
      expect(await post('[1,2]')).toMatch(/^model "model", input "x": expected/)
      container.kill('SIGTERM')
      expect(await once(container, 'close')).toEqual([0, null])
    })
  },
)

/** The root of the container is the image, read-only but for /tmp, and it has no network. */
function start(port: string) {
  const script = `
mount --bind "$0" "$0" && mount --bind "$1" "$0/tmp" && mount --rbind /proc "$0/proc" &&
mount -o remount,ro,bind "$0" && exec chroot "$0" /node /app/server.js`
  const container = spawn('unshare', [...namespaces, 'sh', '-c', script, image, writable], {
    env: { PATH: process.env['PATH'], PORT: port },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void container.kill('SIGKILL'))
  return container
}

function post(body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ socketPath: join(writable, 'socket'), method: 'POST', path: '/' }, (response) => resolve(text(response)))
      .on('error', reject)
      .end(body)
  })
}

/** The libraries that Node.js has open when it runs ONNX Runtime, but for ONNX Runtime's own. */
function librariesOfNode(): readonly string[] {
  const script = `require('onnxruntime-node'); console.log(JSON.stringify(process.report.getReport().sharedObjects))`
  const files = JSON.parse(
    execFileSync(process.execPath, ['--eval', script], { cwd: app, encoding: 'utf8' }),
  ) as string[]
  return files.filter((file) => isAbsolute(file) && !file.includes('node_modules'))
}

function reasonToSkip(): string | undefined {
  const possible = process.platform === 'linux' && spawnSync('unshare', [...namespaces, 'true']).status === 0
  const reason = possible ? undefined : 'namespaces for users are not allowed here'
  if (reason && process.platform === 'linux' && process.env['CI'] === 'true') throw new Error(reason)
  if (reason) console.warn(`the tests of containers are skipped: ${reason}`)
  return reason
}
