-- reap: end leases whose deadline passed, open gates whose time came, pass unanswered pokes on, hand out to push hosts,
-- forget what ended long ago.
-- Answers reaped{lost[], opened[], forgotten?, next_due? (ms from now), more?, new? (there is no configuration)}. While settling no lease
-- is reaped. `faults`: so many were found by a walk over all keys; status shows it.
-- One damaged record does not keep the others from being reaped.
local function reap_leases(most)
  local lost, damage = {}, nil
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', base.key('leases'), '-inf', call.now, 'LIMIT', 0, most)) do
    local fine, what = sound.holds(losing.check, name)
    local row = fine and lease.record(name)
    if not fine then
      damage = damage or what
    elseif row and row.status == 'running' then
      lost[#lost + 1] = losing.take(name, row)
    else
      redis.call('ZREM', base.key('leases'), name) -- its record was removed by hand
    end
  end
  return lost, damage
end

local function forget(route)
  local served = redis.call('SMEMBERS', base.key('served', route))
  for _, host in ipairs(served) do base.expect('set', base.key('serves', host)) end
  for _, host in ipairs(served) do redis.call('SREM', base.key('serves', host), route) end
  call.serves = nil
  redis.call('DEL', base.key('served', route), base.key('waiting', route), base.key('ready', route))
  redis.call('ZREM', base.key('routes'), route)
  redis.call('EXPIRE', base.key('fair', route), 172800) -- what its lanes have used: for the case that one comes back
end

-- A route that had no lane for an hour is forgotten, and made again when one comes.
local function forget_routes()
  for _, route in ipairs(redis.call('ZRANGEBYSCORE', base.key('routes'), '-inf', call.now - 3600000, 'LIMIT', 0, 8)) do
    if redis.call('EXISTS', base.key('lanes', route)) == 1 or not sound.holds(forget, route) then
      redis.call('ZADD', base.key('routes'), call.now, route)
    end
  end
end

-- The earliest time anything falls due, told to the replicas.
local function next_due(settling)
  local first = later.first('timers', 'later', 'poked', 'ages', not settling and 'leases' or nil)
  if redis.call('EXISTS', base.key('opening')) == 1 then first = math.min(first or call.now, call.now) end
  base.keep('due', first or false)
  return first and math.max(first - call.now, 0)
end

verb.register {
  name = 'reap', writes = true, frees = true, question = { limit = { is = 'integer', least = 1, most = 256 }, faults = 'integer' },
  answer = function(ask)
    local most = ask.limit or 64
    if ask.faults then base.keep('faults', ask.faults > 0 and ask.faults) end
    local opened, looked = verb.tidy(most)
    local settling = gates.settling()
    local lost, damage = {}, nil
    if not settling then lost, damage = reap_leases(most) end
    forget_routes()
    ramp.tend()
    fair.tend()
    local forgotten = history.forget()
    local met = offers.serve(8)
    damage = damage or met
    local next_in = next_due(settling)
    if damage and #lost == 0 and forgotten == 0 then error(damage, 0) end
    local more = #lost == most or #opened == most or looked == most or forgotten == history.MOST
      or #call.offers > 0 or redis.call('EXISTS', base.key('opening')) == 1
    return { outcome = 'reaped', lost = lost, opened = base.list(opened), forgotten = forgotten > 0 and forgotten or nil,
      next_due = next_in, more = more or nil, new = not call.control.schema or nil }
  end,
}
