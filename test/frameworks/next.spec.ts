import { rmSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { writeFiles } from '../support/app.ts'
import { tempFolder } from '../support/helpers.ts'
import { type FrameworkApp, installApp, packPackage, runIn } from './app.ts'
import { changedAnswers, changedWeight } from './dev.ts'
import { movedAnswers } from './production.ts'
import { expectedAnswer } from './server.ts'

const answer = await expectedAnswer()
const changedAnswer = await expectedAnswer(changedWeight)
const folder = tempFolder()
let app: FrameworkApp
beforeAll(async () => {
  app = await installApp('next', join(folder, 'next'), { sources: 'lib', tarball: await packPackage(folder) })
})

// webpack first: what Turbopack keeps from build to build must not be what it needs.
describe.each(['webpack', 'turbopack'])('%s', (bundler) => {
  test('the standalone output answers in another folder, with the ONNX Runtime of this platform alone', async () => {
    await runIn(app, ['next', 'build', `--${bundler}`])
    const libraries = join(app.folder, '.next/standalone/node_modules/onnxruntime-node/bin/napi-v6')
    const platforms = await readdir(libraries)
    expect(platforms).toEqual([process.platform])
    expect(await readdir(join(libraries, process.platform))).toEqual([process.arch])
    const env = { HOSTNAME: '127.0.0.1' }
    expect(
      await movedAnswers(app, { output: '.next/standalone', start: ['server.js'], env, route: '/infer', page: '/' }),
    ).toEqual({ route: answer, page: answer })
  })

  test('a second build, with a cache, answers too', async () => {
    await runIn(app, ['next', 'build', `--${bundler}`])
    const env = { HOSTNAME: '127.0.0.1' }
    expect(
      await movedAnswers(app, { output: '.next/standalone', start: ['server.js'], env, route: '/infer', page: '/' }),
    ).toEqual({ route: answer, page: answer })
  })

  test('a route of the Edge Runtime stops the build and is named', async () => {
    writeFiles(app.folder, { 'app/edge/route.ts': edgeRoute })
    await expect(runIn(app, ['next', 'build', `--${bundler}`])).rejects.toThrow(
      /import of model\.onnx: the Edge Runtime of Next\.js/,
    )
    rmSync(join(app.folder, 'app/edge'), { recursive: true })
  })

  test('a client component stops the build and is named', async () => {
    writeFiles(app.folder, { 'app/client/page.tsx': clientPage })
    await expect(runIn(app, ['next', 'build', `--${bundler}`])).rejects.toThrow(
      /import of model\.onnx: a client component of Next\.js/,
    )
    rmSync(join(app.folder, 'app/client'), { recursive: true })
  })

  test('the dev server takes a changed model into account', async () => {
    expect(
      await changedAnswers(app, {
        start: ['next', 'dev', `--${bundler}`, '--port', 'PORT', '--hostname', '127.0.0.1'],
        sources: 'lib',
        route: '/infer',
      }),
    ).toEqual({ before: answer, after: changedAnswer })
  })
})

test('a wrong input is an error of the build, because types are written before Next.js checks them', async () => {
  writeFiles(app.folder, { 'lib/typed.ts': wrongInput })
  await expect(runIn(app, ['next', 'build'])).rejects.toThrow(/Float64Array.*is not assignable to type/)
  rmSync(join(app.folder, 'lib/typed.ts'))
})

const edgeRoute = `
import { infer } from '../../lib/infer.js'

export const runtime = 'edge'
export const GET = async () => Response.json(await infer('1,2,3,4'))
`

const clientPage = `
'use client'
import { infer } from '../../lib/infer.js'

export default function Page() {
  return <button onClick={() => infer('1,2,3,4')}>infer</button>
}
`

const wrongInput = `
import model from './model.onnx?engine=fp32'

export const wrong = model.infer({ x: { data: new Float64Array(4), dims: [1, 4] } })
`
