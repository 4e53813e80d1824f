-- backup: what operators have set, as it stands in the keys, for whoever writes it back to a server that came back empty. Read-only.
-- Answers backup{new?, blind?, epoch?, limits, rates, accounts, weights, settings, default_agent?, gates{key: {until, reason?}},
-- freezes{key: {by?, reason?, until?}}, frozen, freeze?, hosts[], now}.
local function gates_in_force()
  local out, reasons = {}, base.hash(base.key('backoff_reason'))
  for limit_key, text in pairs(base.hash(base.key('backoff'))) do
    local ends = base.number(text)
    if ends and ends > call.now then out[limit_key] = { ['until'] = ends, reason = reasons[limit_key] } end
  end
  return base.some(out)
end

local function freezes_in_force()
  local out = {}
  for limit_key in pairs(base.hash(base.key('frozen'))) do out[limit_key] = gates.freeze_of(limit_key) end
  return base.some(out)
end

verb.register {
  name = 'backup', question = {},
  answer = function()
    local freeze = gates.freeze_of('*')
    return { outcome = 'backup', new = not call.control.schema or nil, blind = base.number(call.control.blind),
      epoch = base.number(call.control.epoch), limits = base.some(base.numbers(base.key('limits'))),
      weights = base.some(base.numbers(base.key('weights'))),
      rates = pace.rates(), accounts = accounts.all(), settings = base.own_settings(), default_agent = call.control.default_agent,
      gates = gates_in_force(), freezes = freezes_in_force(), frozen = freeze and true or false,
      freeze = base.some(freeze), hosts = redis.call('ZRANGE', base.key('hosts'), 0, -1), now = call.now }
  end,
}
