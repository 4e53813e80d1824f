-- What changes a limit key (its gate, its freeze, its limit), and what happens when it admits again.
-- K may admit again: one entry @K goes into the ready set of every route that has lanes blocked on K.
-- It costs routes, not lanes. For `*`, every route with waiting work and a waiting host is poked once.
function latch.open(limit_key)
  freezes.ended(limit_key)
  if not gates.admits(limit_key) then return false end
  accounts.opened(limit_key)
  if limit_key == '*' then
    for _, route in ipairs(redis.call('ZRANGE', base.key('routes'), 0, -1)) do call.touched[route] = true end
    return true
  end
  if not redis.call('ZSCORE', base.key('blocked'), limit_key) then return false end
  for _, route in ipairs(redis.call('SMEMBERS', base.key('groups', limit_key))) do
    local best, score = base.first(base.key('blocked', limit_key, route))
    if best then
      redis.call('ZADD', base.key('ready', route), score, '@' .. limit_key)
      call.touched[route] = true
    end
  end
  return true
end

-- The same of every key that a run gave back. `known`: which of them are blocked, where the caller has just looked.
function latch.open_all(keys, known)
  if #keys == 0 then return end
  for i, blocked in pairs(known or redis.call('ZMSCORE', base.key('blocked'), unpack(keys))) do
    if blocked then latch.open(keys[i]) end
  end
end

-- A pool's earliest next start, for readers: it may start now where there is none. Answers when the clock changes its pace.
local function next_start(limit_key)
  local open, _, changes = pace.judge(limit_key)
  if open > call.now then
    redis.call('HSET', base.key('next_start'), limit_key, string.format('%.0f', open))
    call.rare = nil
  elseif call.rare ~= false then
    redis.call('HDEL', base.key('next_start'), limit_key)
  end
  return changes
end

-- A freeze that the clock has ended is gone and told, whoever looks first: its timer may be moved before it fires.
local function thaw_ended(limit_key)
  local ends = base.number(call.control.frozen_until)
  if limit_key ~= '*' then
    gates.see({ limit_key })
    local text = call.seen[limit_key].frozen
    ends = text and freezes.read(text)['until']
  end
  if ends and ends <= call.now then latch.thaw(limit_key, 'expiry') end
end

-- Timers: a key whose gate, freeze or pace the clock changes is in `timers` at exactly that time. Whoever moves one calls this.
function latch.time(limit_key)
  thaw_ended(limit_key)
  local shut, freeze = gates.shut_until(limit_key), gates.freeze_of(limit_key)
  local ends = freeze and freeze['until']
  local when = shut > 0 and shut or nil
  local settling = limit_key == '*' and gates.settling() or nil
  for _, other in pairs { ends or false, settling or false, next_start(limit_key) or false, ramp.settle(limit_key) or false } do
    if other and (not when or other < when) then when = other end
  end
  if when then
    redis.call('ZADD', base.key('timers'), string.format('%.0f', when), limit_key)
    facts.due(when)
  else
    redis.call('ZREM', base.key('timers'), limit_key)
  end
end

-- Removes what the clock has ended from a key, and opens it.
local function expire(limit_key)
  local settling = limit_key == '*' and base.number(call.control.settling)
  if settling and settling <= call.now then hosts.settled() end
  latch.time(limit_key)
  return latch.open(limit_key)
end

function latch.thaw(limit_key, by)
  if limit_key == '*' then
    local gone = { frozen = '0', frozen_by = false, frozen_reason = false, frozen_at = false, frozen_until = false }
    base.write(base.key('control'), gone)
    for field, value in pairs(gone) do call.control[field] = value or nil end
  else
    redis.call('HDEL', base.key('frozen'), limit_key)
  end
  gates.forget()
  facts.tell('Thawed', { key = limit_key, by = by })
end

local AGAIN = 60000 -- ms until a key whose opening met damage is looked at again

-- Fires up to `most` timers that are due; answers the keys that opened.
function latch.fire(most)
  local opened = {}
  for _, limit_key in ipairs(redis.call('ZRANGEBYSCORE', base.key('timers'), '-inf', call.now, 'LIMIT', 0, most)) do
    if not sound.holds(sound.key, limit_key) then
      redis.call('ZADD', base.key('timers'), call.now + AGAIN, limit_key)
    elseif expire(limit_key) then
      opened[#opened + 1] = limit_key
    end
  end
  return opened
end

-- Shuts a gate until a time (0 opens it). Answers what it was.
function latch.shut(limit_key, until_ms, reason, by)
  local was = gates.shut_until(limit_key)
  ramp.stop(limit_key)
  if until_ms > call.now then
    redis.call('HSET', base.key('backoff'), limit_key, string.format('%.0f', until_ms))
    local why = (reason or '') .. (by and ((reason and ' ' or '') .. 'by ' .. by) or '')
    base.write(base.key('backoff_reason'), { [limit_key] = why ~= '' and why or false })
  else
    redis.call('HDEL', base.key('backoff'), limit_key)
    redis.call('HDEL', base.key('backoff_reason'), limit_key)
  end
  gates.forget()
  latch.time(limit_key)
  if until_ms <= call.now then latch.open(limit_key) end
  return was
end

function latch.freeze(limit_key, by, reason, until_ms)
  thaw_ended(limit_key)
  local was = gates.freeze_of(limit_key)
  if limit_key == '*' then
    local fields = { frozen = '1', frozen_by = by or false, frozen_reason = reason or false, frozen_at = call.now, frozen_until = until_ms or false }
    base.write(base.key('control'), fields)
    for field, value in pairs(fields) do call.control[field] = value or nil end
  else
    redis.call('HSET', base.key('frozen'), limit_key, base.encode { by = by, reason = reason, at = call.now, ['until'] = until_ms })
  end
  gates.forget()
  latch.time(limit_key)
  if not was or was.at == nil then facts.tell('Frozen', { key = limit_key, by = by, reason = reason, ['until'] = until_ms }) end
end

-- Answers the old limit. What waits is looked at also where this one was already set: by hand, nobody was told.
local function set_limit(limit_key, limit)
  local was = base.number(redis.call('HGET', base.key('limits'), limit_key))
  if was ~= limit then
    base.write(base.key('limits'), { [limit_key] = limit or false })
    gates.forget()
  end
  latch.open(limit_key)
  defaults.changed(limit_key)
  return was
end

-- Sets limits, {{name, now}}, or clears them (no now): waiting lanes are judged again at once, and nobody is woken before all are set.
-- Answers the old ones by key.
function latch.set_limits(all)
  local keys, was = {}, {}
  for i, one in ipairs(all) do keys[i] = one.name end
  ramp.limited(keys)
  for _, one in ipairs(all) do was[one.name] = set_limit(one.name, one.now) end
  ramp.limited(keys)
  return was
end

-- A fleet that was never frozen or thawed by anybody is thawed. `remembered`: by one who knows what was set before the server came back
-- empty, so also where it was frozen for want of that.
function latch.begin(by, remembered)
  if call.control.frozen == '0' then return end
  if call.control.frozen_at and not (remembered and call.control.frozen_by == 'restore') then return end
  latch.thaw('*', by)
  latch.time('*')
  latch.open('*')
end

-- Whether its configuration was made by one who remembered nothing, and nobody has set anything since.
function latch.is_blind() return call.control.blind ~= nil end

-- Whether this namespace may have been frozen, and more, before it forgot all: nobody has frozen or thawed it who knew what was set.
function latch.is_new()
  if not call.control.schema then return call.control.frozen ~= '0' end
  return latch.is_blind()
end

-- A host that this namespace did not know tells of runs that it never granted. There may be other such hosts: nobody who stands still
-- goes on before they could tell. Nothing starts in a new one until somebody who knows says so.
function latch.forgotten(host)
  if not base.is_named('expected', host) then hosts.expect_unnamed() end
  if not latch.is_new() or call.control.frozen_at then return end
  latch.freeze('*', 'restore', 'the server came back empty: ' .. host .. ' tells of runs that it forgot')
end
