-- freeze: no grants under a key (everything by default), or to a host (`host:<name>`), remembered, until thaw or a time.
-- Running agents are untouched.
-- Answers frozen{key}.
verb.register {
  name = 'freeze', writes = true, question = { key = 'key', by = 'line', reason = 'line', ['until'] = 'integer' },
  answer = function(ask)
    local wrong = defaults.wrong(ask.key or '*')
    if wrong then return wrong end
    if ask['until'] and ask['until'] <= call.now then return later.over('until', ask['until']) end
    sound.key(ask.key or '*')
    freezes.check(ask.key or '*')
    latch.freeze(ask.key or '*', ask.by, ask.reason, ask['until'])
    freezes.began(ask.key or '*')
    return { outcome = 'frozen', key = ask.key or '*' }
  end,
}
