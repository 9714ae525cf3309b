import { injectLoad } from '@analogjs/router'
import { JsonPipe } from '@angular/common'
import { Component } from '@angular/core'
import { toSignal } from '@angular/core/rxjs-interop'
import type { load } from './index.server'

@Component({ imports: [JsonPipe], template: '<p>{{ data() | json }}</p>' })
export default class HomePage {
  data = toSignal(injectLoad<typeof load>(), { requireSync: true })
}
