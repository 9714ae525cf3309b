import { loadGraph } from '../../plugin/onnx/graph.ts'
import { writeGraph } from '../../plugin/onnx/write.ts'
import { lowerGraph } from '../../plugin/precision/half/lower-graph.ts'

// One conversion in a fresh process: `fp16-child.js from.onnx to.onnx`. Prints the peak memory in MB.
const [, , from = '', to = ''] = process.argv
const graph = await loadGraph(from)
await lowerGraph(graph, { dtype: 'float16', maxValue: 4096, maxDepth: Infinity, pinned: new Set() })
await writeGraph(graph, to)
console.log(process.resourceUsage().maxRSS / 1024)
