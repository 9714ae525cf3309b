import { computed, effect, signal } from '@preact/signals'

const wish = signal<'light' | 'dark' | undefined>(storedWish())
const media = matchMedia('(prefers-color-scheme: dark)')
const isSystemDark = signal(media.matches)

/** The system's theme until the user chooses one. */
export const theme = computed(() => wish.value ?? (isSystemDark.value ? 'dark' : 'light'))

export function followTheme(): void {
  media.addEventListener('change', ({ matches }) => (isSystemDark.value = matches))
  effect(() => {
    document.documentElement.dataset['theme'] = theme.value
  })
}

export function switchTheme(): void {
  wish.value = theme.value === 'dark' ? 'light' : 'dark'
  try {
    localStorage.setItem('theme', wish.value)
  } catch {
    // A browser may forbid storage: the choice lasts as long as the page.
  }
}

function storedWish(): 'light' | 'dark' | undefined {
  try {
    const stored = localStorage.getItem('theme')
    return stored === 'light' || stored === 'dark' ? stored : undefined
  } catch {
    return undefined
  }
}
