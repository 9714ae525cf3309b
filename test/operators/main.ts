import { once } from 'node:events'
import { loadCorpus } from '../corpus/index.ts'
import type { TestedBackend } from './contract.ts'
import { runCase } from './run-case.ts'

// A process that runs the cases named in its message, and sends the outcome of each.
process.send!('ready')
const [{ backend, names }] = (await once(process, 'message')) as [{ backend: TestedBackend; names: string[] }]
const corpus = await loadCorpus()
const records = new Map(corpus.records.map((record) => [record.name, record]))
for (const name of names) process.send!(await runCase(corpus, records.get(name)!, backend))
process.disconnect()
