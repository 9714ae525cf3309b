import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectServer } from 'unplugin-onnx/remote'
import type { Model } from 'unplugin-onnx/runtime'
import { describe, expect, onTestFinished, test } from 'vitest'
import { tempFolder } from '../support/helpers.ts'
import { startServer, type FakeModel, type Scheme } from '../support/inference-server.ts'

const certificates = makeCertificates()
const pose: FakeModel = {
  name: 'pose',
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [1] }],
}

describe.skipIf(!certificates).each(['grpc', 'http'] as const)('TLS over %s', (scheme) => {
  test('accepts a server whose authority is in the option ca', async () => {
    const { url, ca } = await serve(scheme, false)
    const y = await infer(url, { ca })
    expect(y).toEqual(Float32Array.of(7))
  })

  test('refuses a server of an unknown authority before anything is sent', async () => {
    const { url, calls } = await serve(scheme, false)
    await expect(infer(url, {})).rejects.toMatchObject({
      code: 'SERVER_UNAVAILABLE',
      message: expect.stringMatching(/certificate|self.signed/i),
    })
    expect(calls).toEqual([])
  })

  test('refuses a server with another name than the one that is expected', async () => {
    const { url, ca } = await serve(scheme, false)
    await expect(infer(url, { ca, serverName: 'models.example' })).rejects.toMatchObject({ code: 'SERVER_UNAVAILABLE' })
  })

  test('shows the certificate of the client to a server that asks for it', async () => {
    const { url, ca, client } = await serve(scheme, true)
    expect(await infer(url, { ca, ...client })).toEqual(Float32Array.of(7))
    await expect(infer(url, { ca })).rejects.toMatchObject({ code: 'SERVER_UNAVAILABLE' })
  })
})

async function serve(scheme: Scheme, client: boolean) {
  if (!certificates) throw new Error('no certificates')
  const { ca, server, client: own } = certificates
  const started = await startServer(scheme, pose, { tls: { ca, ...server, client } })
  onTestFinished(() => started.kill())
  return { url: started.url.replace('127.0.0.1', 'localhost'), calls: started.calls, ca, client: own }
}

async function infer(url: string, tls: object): Promise<unknown> {
  await using model = await connectServer<Model>({ url, model: 'pose', tls, retries: 0 })
  return (await model.infer({ x: Float32Array.of(7) }))['y']?.data
}

/** An authority, and a server and a client that it vouches for; undefined after printing why not. */
function makeCertificates() {
  const folder = tempFolder()
  const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const issue = (name: string, ...extra: readonly string[]) => {
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
    )
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.crt',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '2',
      '-out',
      `${name}.crt`,
      ...extra,
    )
    return { cert: readFileSync(join(folder, `${name}.crt`)), key: readFileSync(join(folder, `${name}.key`)) }
  }
  try {
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      'ca.key',
      '-out',
      'ca.crt',
      '-days',
      '2',
      '-subj',
      '/CN=test',
    )
    writeFileSync(join(folder, 'names.cnf'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
    const server = issue('localhost', '-extfile', 'names.cnf')
    return { ca: readFileSync(join(folder, 'ca.crt')), server, client: issue('client') }
  } catch (error) {
    if (process.env['CI'] === 'true') throw error
    console.warn(`tests of TLS are skipped: openssl does not run here: ${(error as Error).message}`)
    return undefined
  }
}
