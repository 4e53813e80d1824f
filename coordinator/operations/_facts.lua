-- Facts: written in the call that makes them true, then told on the bus with their stream id as `seq`.
-- Nobody begins to listen during a call: after a message that nobody heard the others of it are not sent.
local function publish(...)
  if call.unheard then return end
  call.unheard = redis.call('PUBLISH', base.key('bus'), table.concat { ... }) == 0
end

local function write(kind, body)
  local events = base.key('events')
  local seq = redis.call('XADD', events, 'MAXLEN', '~', 10000, '*', 'type', kind, 'json', body)
  call.checked[events] = 'stream'
  if not call.unheard then publish('{"seq":"', seq, '",', body:sub(2)) end
  return seq
end

-- Before whatever writes something ahead of its fact. A call whose first write is a fact stops at a damaged stream by itself.
function facts.sound() base.expect('stream', base.key('events')) end

function facts.tell(kind, fact)
  fact.type = kind
  return write(kind, base.encode(fact))
end

-- A notification on a channel. `data` is the text of one JSON value and is told as it stands: cjson would turn [] into {}.
function facts.push(channel, data)
  return write('ChannelPush', '{"type":"ChannelPush","channel":' .. base.encode(channel) .. ',"data":' .. (data or 'null') .. '}')
end

-- A provider refuses a pool, or one account of it, for so long; said as Go writes durations: 30m0s.
function facts.limited(limit_key, ms)
  local pool, account = accounts.parts(limit_key)
  pool = pool or limit_key
  local s = math.ceil(ms / 1000)
  local h, m = math.floor(s / 3600), math.floor(s % 3600 / 60)
  local duration = (h > 0 and h .. 'h' or '') .. ((h > 0 or m > 0) and m .. 'm' or '') .. s % 60 .. 's'
  facts.tell('RateLimitDetected', { pool = pool, account = account, duration = duration })
  facts.push('ratelimit.status', base.encode { pool = pool, account = account, duration = duration })
end

-- Told on the bus beside the fact `seq`, and not written a second time. The order of its fields is kept by hand:
-- one that is cut short still shows the status and the repo.
function facts.notify(status, name, row, seq)
  if call.unheard then return end
  local pool = lease.keys(row)[1]
  local running, limit = pool and gates.used(pool) or 0, pool and gates.limit(pool) or 0
  publish('{"type":"AgentNotification","seq":"' .. seq .. '","status":' .. base.encode(status)
    .. ',"repo":' .. base.encode(row.repo or '') .. ',"agent":' .. base.encode(row.agent or '') .. ',"workspace":' .. base.encode(name)
    .. ',"running":' .. string.format('%.0f', running) .. ',"limit":' .. string.format('%.0f', limit) .. '}')
end

-- One more ending, perhaps of what this call has started: a run that its host tells of is started first.
function facts.ended()
  call.ended, call.started = true, nil
  base.keep('ended', base.count(call.control.ended) + 1)
end

-- The call with an ending after which nothing runs and nothing waits says how many there were since it was last so.
-- Asked at its end: what ended in it may not be the last that it does.
function facts.drained()
  if not call.ended or call.started then return end
  if redis.call('ZCARD', base.key('status', 'running')) > 0 or redis.call('ZCARD', base.key('status', 'queued')) > 0 then return end
  local count = base.number(call.control.ended)
  if not count then return end
  base.keep('ended', false)
  facts.tell('QueueDrained', { completed = count })
  facts.push('queue.status', '{"completed":' .. string.format('%.0f', count) .. '}')
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
  local told = base.number(call.control.due)
  if told and told <= when then return end
  base.keep('due', when)
  publish('{"type":"PokeQueue","due":' .. string.format('%.0f', when) .. '}')
end
