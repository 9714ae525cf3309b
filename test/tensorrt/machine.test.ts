import { describe, expect, test } from 'vitest'
import { chooseGpu } from '../../runtime/tensorrt/gpu.ts'
import { versionRefusal } from '../../runtime/tensorrt/version.ts'

describe('version of the TensorRT library', () => {
  const built = '11.4.1.106'
  const older = 'a version-compatible plan runs on that release and later ones'
  const stays = 'a version-compatible plan stays within TensorRT 11'

  test.each([
    ['11.4.1.106', 'the same', undefined, undefined],
    ['11.4.1.107', 'a later build', 'engines never cross releases', undefined],
    ['11.4.2.1', 'a later patch', 'engines never cross releases', undefined],
    ['11.10.0.3', 'a later minor version', 'engines never cross releases', undefined],
    ['11.4.0.200', 'an earlier patch', 'engines never cross releases', older],
    ['11.3.9.999', 'an earlier minor version', 'engines never cross releases', older],
    ['12.0.0.1', 'a later major version', 'engines never cross releases', stays],
    ['10.16.1.11', 'an earlier major version', 'engines never cross releases', stays],
  ])('%s, %s, decides whether an engine runs, and a version-compatible plan', (installed, _, engine, plan) => {
    expect(versionRefusal({ version: built }, installed)).toBe(engine)
    expect(versionRefusal({ version: built, versionCompatible: true }, installed)).toBe(plan)
  })
})

describe('choice of a GPU', () => {
  const machine = {
    reason: '',
    driver: '580.95.05',
    cuda: '13.0',
    gpus: [
      ['GTX 1080', 'sm61'],
      ['RTX 3060', 'sm86'],
      ['RTX 4090', 'sm89'],
    ].map(([name = '', computeCapability = '']) => ({
      name,
      computeCapability,
      multiprocessors: 1,
      l2Bytes: 1,
      memoryBusBits: 1,
      memoryBytes: 1,
    })),
  }
  const requires = { version: '1.7.1.116', targets: ['sm86', 'sm89'], platform: 'linux', arch: 'x64' }
  const plan = {
    version: '11.4.0.1',
    gpu: 'RTX 4090',
    computeCapability: 'sm89',
    driver: '580.95.05',
    platform: 'linux',
    arch: 'x64',
  }

  test('the first GPU that an engine was built for is taken, or the one that the caller names', () => {
    expect(chooseGpu('tensorrt-rtx', requires, machine)).toMatchObject({ index: 1, gpu: { name: 'RTX 3060' } })
    expect(chooseGpu('tensorrt-rtx', requires, machine, 2)).toMatchObject({ index: 2, gpu: { name: 'RTX 4090' } })
    expect(chooseGpu('tensorrt', plan, machine)).toMatchObject({ index: 2 })
    expect(chooseGpu('tensorrt', { ...plan, computeCapability: 'sm80+' }, machine)).toMatchObject({ index: 1 })
  })

  test.each([
    [requires, machine, 0, 'compiled for sm86, sm89, but GPU 0 is GTX 1080 (sm61)'],
    [requires, machine, 7, 'there is no GPU 7: this machine has GTX 1080 (sm61), RTX 3060 (sm86), RTX 4090 (sm89)'],
    [
      { ...requires, targets: ['sm120'] },
      machine,
      undefined,
      'compiled for sm120, but this machine has GTX 1080 (sm61), RTX 3060 (sm86), RTX 4090 (sm89)',
    ],
    [requires, { ...machine, gpus: [] }, undefined, 'compiled for sm86, sm89, but this machine has none'],
  ])('a GPU that does not fit is refused with a reason: %#', (needs, probe, wanted, reason) => {
    expect(chooseGpu('tensorrt-rtx', needs, probe, wanted)).toEqual({ reason })
  })
})
