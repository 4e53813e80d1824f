-- thaw: grants again under a key (everything by default). Answers thawed{key, woken}: hosts that were poked.
verb.register {
  name = 'thaw', writes = true, question = { key = 'key', by = 'line' },
  answer = function(ask)
    local limit_key = ask.key or '*'
    sound.key(limit_key)
    freezes.check(limit_key)
    base.keep('blind', false)
    if gates.freeze_of(limit_key) or (limit_key == '*' and call.control.frozen ~= '0') then latch.thaw(limit_key, ask.by) end
    ramp.stop(limit_key)
    latch.time(limit_key)
    latch.open(limit_key)
    return { outcome = 'thawed', key = limit_key, woken = hosts.wake() }
  end,
}
