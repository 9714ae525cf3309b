/** Named facts in a flat record, so that two keys can be compared field by field and a difference told in words. */
export type Facts = Readonly<Record<string, string | number | boolean | readonly string[] | readonly number[]>>

/** A content key: the digest names the entry, the facts explain it. */
export interface CacheKey {
  /** Lower-case hex SHA-256 of the canonical JSON of the facts. */
  readonly digest: string
  readonly facts: Facts
}
