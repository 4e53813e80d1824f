-- Facts: written in the call that makes them true, then told on the bus with their stream id as `seq`.
function facts.tell(kind, fact)
  fact.type = kind
  local body = base.encode(fact)
  local seq = redis.call('XADD', base.key('events'), 'MAXLEN', '~', 10000, '*', 'type', kind, 'json', body)
  redis.call('PUBLISH', base.key('bus'), '{"seq":"' .. seq .. '",' .. body:sub(2))
  return seq
end

-- Whether stream id `a` is later than `b`; ids are milliseconds, a dash, a number.
function facts.later(a, b)
  local ams, an = a:match('^(%d+)%-?(%d*)$')
  local bms, bn = b:match('^(%d+)%-?(%d*)$')
  ams, bms = tonumber(ams) or 0, tonumber(bms) or 0
  if ams ~= bms then return ams > bms end
  return (tonumber(an) or 0) > (tonumber(bn) or 0)
end

-- Something falls due at `when`. Replicas sleep until the earliest time they were told (`due`); an earlier one wakes them.
function facts.due(when)
  local told = base.number(redis.call('GET', base.key('due')))
  if told and told <= when then return end
  redis.call('SET', base.key('due'), string.format('%.0f', when))
  redis.call('PUBLISH', base.key('bus'), '{"type":"PokeQueue","due":' .. string.format('%.0f', when) .. '}')
end
