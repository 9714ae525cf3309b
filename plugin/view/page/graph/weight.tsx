import { useSignal } from '@preact/signals'
import type { JSX } from 'preact'
import type { InitializerView, TensorStatistics } from '../../contract.ts'
import { api } from '../api.ts'
import { Bars } from '../bars.tsx'
import { Facts } from '../facts.tsx'
import { bytesText, numberText, safeText } from '../format.ts'
import { load, modelId } from '../state.ts'

/** A weight; its values are read when it is opened. */
export function Weight({ weight }: { readonly weight: InitializerView }): JSX.Element {
  const statistics = useSignal<TensorStatistics | undefined>(undefined)
  const open = () => {
    if (statistics.value || modelId.value === undefined) return
    void load(api.statistics(modelId.value, weight.name), (value) => (statistics.value = value))
  }
  const found = statistics.value
  return (
    <details onToggle={open}>
      <summary>
        {safeText(weight.name)}
        <small>{`${weight.dtype} [${weight.dims.join(', ')}], ${bytesText(weight.bytes)}`}</small>
      </summary>
      {found?.refused !== undefined && <p>{found.refused}</p>}
      {found && found.refused === undefined && (
        <>
          <Bars
            values={found.histogram}
            label={`Histogram from ${numberText(found.min)} to ${numberText(found.max)}`}
          />
          <Facts
            rows={[
              ['Values', numberText(found.count)],
              ['Range', `${numberText(found.min)} to ${numberText(found.max)}`],
              ['Mean', numberText(found.mean)],
              ['Zeros', numberText(found.zeros)],
              ['Not finite', numberText(found.notFinite)],
            ]}
          />
        </>
      )}
    </details>
  )
}
