// Child processes import this through NODE_OPTIONS: the system kills one that receives a task of the module KILLED.
process.on('newListener', function listen(name) {
  if (name !== 'message') return
  process.off('newListener', listen)
  process.once('message', ({ worker }) => {
    if (worker.endsWith(process.env.KILLED)) process.kill(process.pid, 'SIGKILL')
  })
})
