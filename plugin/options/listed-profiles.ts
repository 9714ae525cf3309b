import type { Profile } from './types.ts'

/** The profiles that the options list; none where samples are to tell, until the line has looked at them. */
export function listedProfiles(options: { readonly profiles: 'auto' | readonly Profile[] }): readonly Profile[] {
  return options.profiles === 'auto' ? [] : options.profiles
}
