// Child processes import this through NODE_OPTIONS: they start when the file HELD is gone.
import { existsSync } from 'node:fs'

while (existsSync(process.env.HELD)) {
  await new Promise((resolve) => {
    setTimeout(resolve, 20)
  })
}
