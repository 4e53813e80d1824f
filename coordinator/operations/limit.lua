-- limit: set the most that may run under a key, or `clear` it. 0 closes the key; lowering kills nobody.
-- Answers set{was?, now?, woken}; absent means no limit.
verb.register {
  name = 'limit', writes = true, question = { key = { is = 'key', must = true }, limit = 'integer', clear = 'boolean', by = 'line' },
  answer = function(ask)
    if not ask.limit and not ask.clear then
      return { outcome = 'invalid', problems = { { field = 'limit', problem = 'limit or clear is required',
        fix = 'write {"key":"codex","limit":5}' } } }
    end
    sound.key(ask.key)
    local limit = not ask.clear and ask.limit or nil
    base.keep('blind', false)
    local was = latch.set_limits({ { name = ask.key, now = limit } })[ask.key]
    if was ~= limit then facts.tell('ConfigChanged', { changes = { { path = 'limits.' .. ask.key, was = was, now = limit } } }) end
    return { outcome = 'set', was = was, now = limit, woken = hosts.wake() }
  end,
}
