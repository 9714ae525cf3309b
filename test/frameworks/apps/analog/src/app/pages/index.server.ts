import type { PageServerLoad } from '@analogjs/router'

export const load = ({ fetch }: PageServerLoad) => fetch('/api/infer?x=1,2,3,4')
