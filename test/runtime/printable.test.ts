import { expect, test } from 'vitest'
import { OnnxEngineError } from '../../runtime/errors.ts'
import { printable } from '../../runtime/printable.ts'

test.each<[what: string, text: string, printed: string]>([
  ['an escape sequence of a terminal', '\u001b]0;title\u0007', '\\u001b]0;title\\u0007'],
  ['a carriage return that would hide what is before it', 'bad\rgood', 'bad\\u000dgood'],
  ['a backspace', 'a\bb', 'a\\u0008b'],
  ['a control character of C1', 'a\u009b31m', 'a\\u009b31m'],
  ['a change of direction', '\u202egnp.exe\u2066', '\\u202egnp.exe\\u2066'],
  ['colours, which are left out', 'a \u001b[1;31mred\u001b[0m word', 'a red word'],
  ['lines and tabs, which stay', 'a\r\n\tb', 'a\n\tb'],
  ['letters of any script, which stay', 'größe 大 🙂', 'größe 大 🙂'],
])('a message shows %s', (_, text, printed) => {
  expect(printable(text)).toBe(printed)
  const error = new OnnxEngineError('MODEL_INVALID', text, { expected: text, received: text, hint: text })
  expect([error.message, error.expected, error.received, error.hint].map((part) => part?.includes(printed))).toEqual(
    Array.from({ length: 4 }, () => true),
  )
})

test('a message of megabytes is cut, and says by how much', () => {
  const { message } = new OnnxEngineError('COMPILE_FAILED', 'x'.repeat(5e6))
  expect(message.length).toBeLessThan(20_000)
  expect(message).toMatch(/\.\.\. \(\d+ characters more\)$/)
})
