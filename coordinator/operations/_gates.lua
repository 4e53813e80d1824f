-- Limit keys: is there room under one, is its gate open, and what happens when it admits again.
-- What every admission of this call reads once: limits, gates and freezes of a lane's keys.
local function limit_of(limit_key)
  local known = call.limits[limit_key]
  if known ~= nil then return known end
  local limit = base.number(redis.call('HGET', base.key('limits'), limit_key))
  if not limit and limit_key:sub(1, 5) == 'repo:' then
    limit = base.number(redis.call('HGET', base.key('limits'), 'repo:*'))
  end
  call.limits[limit_key] = limit or false
  return call.limits[limit_key]
end

function gates.used(limit_key)
  local used = call.used[limit_key]
  if not used then
    used = redis.call('SCARD', base.key('slots', limit_key))
    call.used[limit_key] = used
  end
  return used
end

gates.limit = limit_of

local function is_full(limit_key)
  local limit = limit_of(limit_key)
  return limit and gates.used(limit_key) >= limit
end

-- until when a key is shut by the clock, 0 when it is not
function gates.shut_until(limit_key)
  local gate = base.number(redis.call('HGET', base.key('backoff'), limit_key)) or 0
  return gate > call.now and gate or 0
end

-- until when the fleet settles, nil when it does not
function gates.settling()
  local ends = base.number(call.control.settling)
  return ends and ends > call.now and ends or nil
end

-- The freeze of a key: nil, or {by, reason, at, until?}. `*` lives in the control hash, the others in `frozen`.
function gates.freeze_of(limit_key)
  local freeze
  if limit_key == '*' then
    if call.control.frozen == '0' then return nil end
    freeze = { by = call.control.frozen_by, reason = call.control.frozen_reason, at = base.number(call.control.frozen_at),
      ['until'] = base.number(call.control.frozen_until) }
  else
    local text = redis.call('HGET', base.key('frozen'), limit_key)
    if not text then return nil end
    freeze = base.parse(text) or {}
  end
  if freeze['until'] and freeze['until'] <= call.now then return nil end
  return freeze
end

-- The name of a full key in the sentence for people, in the reference runner's words where it has one.
local function label(limit_key)
  if limit_key == '*' then return 'all' end
  local base_name, model = limit_key:match('^([^:]+):(.+)$')
  if not base_name then return 'total' end
  if base_name == 'repo' or base_name == 'org' or base_name == 'label' then return limit_key end
  return 'model ' .. model
end

local function refusal(limit_key, reason, text, ends)
  local limit = limit_of(limit_key)
  return { key = limit_key, reason = reason, text = text, used = gates.used(limit_key), limit = limit or nil, ['until'] = ends }
end

local function frozen(limit_key, freeze)
  local text = limit_key == '*' and 'queue is frozen' or limit_key .. ' is frozen'
  if freeze.by then text = text .. ' by ' .. freeze.by end
  if freeze.reason then text = text .. ': ' .. freeze.reason end
  return refusal(limit_key, 'frozen', text, freeze['until'])
end

-- Why nothing starts under this key now, or nil. In this order: frozen, gate shut, full.
function gates.refuses(limit_key)
  local freeze = gates.freeze_of(limit_key)
  if freeze then return frozen(limit_key, freeze) end
  local settling = limit_key == '*' and gates.settling()
  if settling then
    return refusal('*', 'settling', 'settling: waiting for every host to report', settling)
  end
  local shut = gates.shut_until(limit_key)
  if shut > 0 then
    local reason = redis.call('HGET', base.key('backoff_reason'), limit_key)
    return refusal(limit_key, 'backoff',
      limit_key .. ' backs off for ' .. base.duration(shut - call.now) .. (reason and ': ' .. reason or ''), shut)
  end
  if is_full(limit_key) then
    return refusal(limit_key, 'full',
      'queue at capacity: ' .. label(limit_key) .. ' ' .. gates.used(limit_key) .. '/' .. string.format('%.0f', limit_of(limit_key)))
  end
  return nil
end

function gates.admits(limit_key) return gates.refuses(limit_key) == nil end

-- The first key of a lane that says no, or nil. `*` is judged once a call by the caller, before any lane.
function gates.judge(keys)
  for _, limit_key in ipairs(keys) do
    local no = gates.refuses(limit_key)
    if no then return no end
  end
  return nil
end

function gates.with_holders(no)
  if not no then return nil end
  if no.reason == 'full' then
    no.holders = base.list(redis.call('SRANDMEMBER', base.key('slots', no.key), 10))
    table.sort(no.holders)
  end
  return no
end

-- K may admit again: one entry @K goes into the ready set of every route that has lanes blocked on K.
-- It costs routes, not lanes. For `*`, every route with waiting work and a waiting host is poked once.
function gates.open(limit_key)
  if not gates.admits(limit_key) then return false end
  if limit_key == '*' then
    for _, route in ipairs(redis.call('ZRANGE', base.key('routes'), 0, -1)) do call.touched[route] = true end
    return true
  end
  if not redis.call('ZSCORE', base.key('blocked'), limit_key) then return false end
  for _, route in ipairs(redis.call('SMEMBERS', base.key('groups', limit_key))) do
    local best = redis.call('ZRANGE', base.key('blocked', limit_key, route), 0, 0, 'WITHSCORES')
    if best[1] then
      redis.call('ZADD', base.key('ready', route), best[2], '@' .. limit_key)
      call.touched[route] = true
    end
  end
  return true
end

-- Timers: a key whose gate or freeze ends is in `timers` at exactly that time. Whoever moves one calls this.
function gates.time(limit_key)
  local shut, freeze = gates.shut_until(limit_key), gates.freeze_of(limit_key)
  local ends = freeze and freeze['until']
  local when = shut > 0 and shut or nil
  if ends and (not when or ends < when) then when = ends end
  if limit_key == '*' then
    local settling = gates.settling()
    if settling and (not when or settling < when) then when = settling end
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
  local gate = base.number(redis.call('HGET', base.key('backoff'), limit_key))
  if gate and gate <= call.now then
    redis.call('HDEL', base.key('backoff'), limit_key)
    redis.call('HDEL', base.key('backoff_reason'), limit_key)
  end
  if limit_key == '*' then
    local settling, ends = base.number(call.control.settling), base.number(call.control.frozen_until)
    if settling and settling <= call.now then
      base.write(base.key('control'), { settling = false })
      call.control.settling = nil
    end
    if ends and ends <= call.now then gates.thaw('*', 'expiry') end
  else
    local freeze = base.parse(redis.call('HGET', base.key('frozen'), limit_key) or nil)
    if freeze and freeze['until'] and freeze['until'] <= call.now then gates.thaw(limit_key, 'expiry') end
  end
  gates.time(limit_key)
  return gates.open(limit_key)
end

function gates.thaw(limit_key, by)
  if limit_key == '*' then
    local gone = { frozen = '0', frozen_by = false, frozen_reason = false, frozen_at = false, frozen_until = false }
    base.write(base.key('control'), gone)
    for field, value in pairs(gone) do call.control[field] = value or nil end
  else
    redis.call('HDEL', base.key('frozen'), limit_key)
  end
  facts.tell('Thawed', { key = limit_key, by = by })
end

-- Fires up to `most` timers that are due; answers the keys that opened.
function gates.fire(most)
  local opened = {}
  for _, limit_key in ipairs(redis.call('ZRANGEBYSCORE', base.key('timers'), '-inf', call.now, 'LIMIT', 0, most)) do
    if sound.holds(sound.key, limit_key) and expire(limit_key) then opened[#opened + 1] = limit_key end
  end
  return opened
end

-- A default such as repo:* changed: every blocked key it stands for is judged again, 64 a call.
-- `opening` remembers how far the walk has come: whoever calls next goes on with it, and the replicas are told to.
local MOST_REOPENED = 64

function gates.reopen(from)
  local at = from or redis.call('GET', base.key('opening'))
  if not at then return false end
  local found = redis.call('ZRANGEBYLEX', base.key('blocked'), from and '[' .. at or '(' .. at, '(repo;', 'LIMIT', 0, MOST_REOPENED)
  for _, limit_key in ipairs(found) do
    if sound.holds(sound.key, limit_key) then gates.open(limit_key) end
  end
  if #found == MOST_REOPENED then
    redis.call('SET', base.key('opening'), found[MOST_REOPENED])
    facts.due(call.now)
    return true
  end
  redis.call('DEL', base.key('opening'))
  return false
end

-- Shuts a gate until a time (0 opens it). Answers what it was.
function gates.shut(limit_key, until_ms, reason, by)
  local was = gates.shut_until(limit_key)
  if until_ms > call.now then
    redis.call('HSET', base.key('backoff'), limit_key, string.format('%.0f', until_ms))
    local why = (reason or '') .. (by and ((reason and ' ' or '') .. 'by ' .. by) or '')
    base.write(base.key('backoff_reason'), { [limit_key] = why ~= '' and why or false })
  else
    redis.call('HDEL', base.key('backoff'), limit_key)
    redis.call('HDEL', base.key('backoff_reason'), limit_key)
  end
  gates.time(limit_key)
  if until_ms <= call.now then gates.open(limit_key) end
  return was
end

function gates.freeze(limit_key, by, reason, until_ms)
  local was = gates.freeze_of(limit_key)
  if until_ms and until_ms <= call.now then -- it ends before it begins, and with it one that stood
    if was then gates.thaw(limit_key, by) end
    gates.time(limit_key)
    gates.open(limit_key)
    return
  end
  if limit_key == '*' then
    local fields = { frozen = '1', frozen_by = by or false, frozen_reason = reason or false, frozen_at = call.now, frozen_until = until_ms or false }
    base.write(base.key('control'), fields)
    for field, value in pairs(fields) do call.control[field] = value or nil end
  else
    redis.call('HSET', base.key('frozen'), limit_key, base.encode { by = by, reason = reason, at = call.now, ['until'] = until_ms })
  end
  gates.time(limit_key)
  if not was or was.at == nil then facts.tell('Frozen', { key = limit_key, by = by, reason = reason, ['until'] = until_ms }) end
end

-- Sets or clears (nil) a limit; waiting lanes are judged again at once. Answers the old limit.
function gates.set_limit(limit_key, limit)
  local was = base.number(redis.call('HGET', base.key('limits'), limit_key))
  if was == limit then return was end
  base.write(base.key('limits'), { [limit_key] = limit or false })
  call.limits = {}
  gates.open(limit_key)
  if limit_key == 'repo:*' then gates.reopen('repo:') end
  return was
end
