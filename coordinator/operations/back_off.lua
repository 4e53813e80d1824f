-- back_off: shut a key's gate until a time (`until`, epoch ms) or for a while (`for`, ms), or `clear` it, its fast failures too.
-- With `at_least` a gate is only ever moved later. Answers set{was, now, woken}, epoch ms, 0 for an open gate.
verb.register {
  name = 'back_off', writes = true,
  question = { key = { is = 'key', must = true }, ['until'] = 'integer', ['for'] = 'integer', clear = 'boolean', at_least = 'boolean',
    reason = 'line', by = 'line' },
  answer = function(ask)
    local until_ms = ask.clear and 0 or ask['until'] or (ask['for'] and base.until_after(ask['for']))
    if not until_ms then
      return { outcome = 'invalid', problems = { { field = 'until', problem = 'one of until, for, clear is required',
        fix = 'write {"key":"codex","for":1800000}' } } }
    end
    local wrong = not ask.clear and defaults.wrong(ask.key)
    if wrong then return wrong end
    sound.key(ask.key)
    local was = gates.shut_until(ask.key)
    local opens = ask.clear or (until_ms <= call.now and not ask.at_least)
    if ask.at_least then until_ms = math.max(until_ms, was) end
    if opens or (until_ms > call.now and until_ms ~= was) then latch.shut(ask.key, until_ms, ask.reason, ask.by) end
    if ask.clear then redis.call('HDEL', base.key('fail_count'), ask.key) end
    return { outcome = 'set', was = was, now = gates.shut_until(ask.key), woken = hosts.wake() }
  end,
}
