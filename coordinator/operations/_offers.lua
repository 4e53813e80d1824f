-- Hosts that do not ask (mode push): the library claims for them, and the fact SpawnQueued tells them.
-- Such a host waits whenever it has room. Instead of a poke it is *offered*: it is in `poked` since now, and the end of a
-- call that knows of it hands it what fits it. A call serves few; what is left is due, and the replicas are told.

-- A silent, quiet or frozen one waits for nothing; its next beat, or its thaw, brings it back.
function offers.wait(host)
  sound.claimer(host)
  local row = redis.call('HMGET', base.key('host', host), 'mode', 'slots', 'quiet', 'waiting', 'beat')
  if row[1] ~= 'push' or row[3] or row[4] or hosts.is_silent(row[5]) or freezes.of(host) then return end
  local full = redis.call('SCARD', base.key('held', host)) >= base.count(row[2])
  if full then return end
  if redis.call('ZSCORE', base.key('poked'), host) then -- an earlier call left it to the replicas: this one sees to it
    call.offers[#call.offers + 1] = host
    return
  end
  hosts.wait(host)
  for _, route in ipairs(hosts.serves(host)) do call.touched[route] = true end
end

-- This host has room again. A push host waits for work; a worker that did not make the room itself is told to look.
function offers.room(host, made_it)
  if hosts.mode(host) == 'push' then
    sound.holds(offers.wait, host)
  elseif not made_it then
    redis.call('PUBLISH', base.key('poke', host), '')
  end
end

-- Answers false for a host that went silent since it began to wait.
function offers.make(host, beat)
  if hosts.is_silent(beat) then return false end
  redis.call('ZADD', base.key('poked'), call.now, host)
  call.offers[#call.offers + 1] = host
  return true
end

local function give(host)
  sound.claimer(host)
  local row = base.hash(base.key('host', host))
  if hosts.is_silent(row.beat) then return hosts.skip(host) end
  drain.give(host, row)
end

-- Wakes whom this call concerns, and hands out to the push hosts among them: to `most` in a call.
-- Answers the damage that kept one from it; that one waits again from its next beat.
function offers.serve(most)
  local damage
  hosts.wake()
  if call.offers[1] then -- as a claim does first: what the clock has opened goes before what waited behind it
    latch.fire(8)
    later.fire(8)
    hosts.wake()
  end
  while call.offers[1] and call.served < most do
    local host = table.remove(call.offers, 1)
    if redis.call('ZSCORE', base.key('poked'), host) then -- else it has claimed for itself
      call.served = call.served + 1
      local fine, what = sound.holds(give, host)
      if not fine then
        damage = damage or what
        hosts.skip(host)
      end
      hosts.wake()
    end
  end
  if call.offers[1] then facts.due(call.now) end
  return damage
end
