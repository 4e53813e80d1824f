-- Limit keys: is there room under one, is its gate open, and who says no.
-- What every admission of this call reads once: limits, gates and freezes of a lane's keys.
local function limit_of(limit_key)
  local known = call.limits[limit_key]
  if known ~= nil then return known end
  local default = defaults.of(limit_key)
  local found = redis.call('HMGET', base.key('limits'), limit_key, default or limit_key)
  local limit = base.number(found[1])
  if not limit and default then limit = call.limits[default] or base.number(found[2]) end
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

local OF_RUNS = { repo = true, org = true, label = true }

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
-- A key of the form kind:name is a model where its kind is the `pool` of the lane that is judged, or none is known.
local function label(limit_key, pool)
  if limit_key == '*' then return 'all' end
  local base_name, model = limit_key:match('^([^:]+):(.+)$')
  if not base_name then return 'total' end
  if base_name ~= (pool or base_name) or OF_RUNS[base_name] then return limit_key end
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

local function paces(limit_key)
  local open, reason, _, count, daily = pace.judge(limit_key)
  if open <= call.now then return nil end
  if reason == 'pace' then
    return refusal(limit_key, reason, limit_key .. ' starts one at a time: the next in ' .. base.duration(open - call.now), open)
  end
  local no = refusal(limit_key, reason, limit_key .. ' has started ' .. string.format('%.0f', count) .. ' of ' .. string.format('%.0f', daily) ..
    ' until the reset in ' .. base.duration(open - call.now), open)
  no.used, no.limit = count, daily
  return no
end

-- Why nothing starts under this key now, or nil. In this order: frozen, gate shut (back-off, quota, pace), full.
function gates.refuses(limit_key, pool)
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
  local paced = paces(limit_key)
  if paced then return paced end
  if is_full(limit_key) then
    return refusal(limit_key, 'full',
      'queue at capacity: ' .. label(limit_key, pool) .. ' ' .. gates.used(limit_key) .. '/' .. string.format('%.0f', limit_of(limit_key)))
  end
  return nil
end

function gates.admits(limit_key) return gates.refuses(limit_key) == nil end

-- The first key of a lane that says no, or nil. `*` is judged once a call by the caller, before any lane.
function gates.judge(keys)
  for _, limit_key in ipairs(keys) do
    local no = gates.refuses(limit_key, keys[1])
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
