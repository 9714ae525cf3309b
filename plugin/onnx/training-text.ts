/** What is wrong with a model that has such nodes, and the cure. */
export function trainingText(nodes: readonly string[]): string {
  const cure = 'export it for inference: model.eval() before torch.onnx.export, without training=TrainingMode.TRAINING'
  const effect = `its outputs vary or depend on the batch (${nodes.join(', ')})`
  return `the model was exported for training, ${effect}; ${cure}`
}
