export { infer } from './models/infer.js'
