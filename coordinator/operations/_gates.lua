-- Limit keys: is there room under one, is its gate open, and who says no.
-- Reads the limits, gates, freezes and ramps of keys, each once a call and all of a lane at once. What is shut, frozen or paced is
-- rare: where nothing is, it is not asked for by key.
function gates.see(keys)
  local new, fields = {}, {}
  for _, limit_key in ipairs(keys) do
    if not call.seen[limit_key] then
      new[#new + 1], fields[#fields + 1] = limit_key, limit_key
    end
  end
  if #new == 0 then return end
  local default_of = {}
  for _, limit_key in ipairs(new) do
    default_of[limit_key] = defaults.of(limit_key)
    fields[#fields + 1] = default_of[limit_key]
  end
  local limits = redis.call('HMGET', base.key('limits'), unpack(fields))
  local rare = call.rare ~= false
  local shut = rare and redis.call('HMGET', base.key('backoff'), unpack(new))
  local frozen = rare and redis.call('HMGET', base.key('frozen'), unpack(new))
  local ramps = rare and redis.call('HMGET', base.key('ramp'), unpack(new))
  local at = #new
  for i, limit_key in ipairs(new) do
    local limit = base.number(limits[i])
    local default = default_of[limit_key]
    if default then
      at = at + 1
      if not limit then limit = call.supposed and call.supposed[default] or base.number(limits[at]) end
    end
    call.seen[limit_key] = { limit = limit, shut = base.count(shut and shut[i]), frozen = frozen and frozen[i] or nil,
      ramp = ramps and ramps[i] or nil }
  end
end

local function seen(limit_key)
  if not call.seen[limit_key] then gates.see({ limit_key }) end
  return call.seen[limit_key]
end

-- Its limit, gate or freeze is changed in this call, or that of a key it is the default of.
function gates.forget()
  call.seen, call.rare = {}, nil
end

function gates.used(limit_key)
  local used = call.used[limit_key]
  if not used then
    used = redis.call('SCARD', base.key('slots', limit_key))
    call.used[limit_key] = used
  end
  return used
end

-- What a question puts in the place of a key's limit, or of a default's. Before any key is judged.
function gates.suppose(limit_key, limit)
  gates.see({ limit_key })
  call.seen[limit_key].limit = limit
  call.supposed = call.supposed or {}
  call.supposed[limit_key] = limit
end

function gates.limit(limit_key) return seen(limit_key).limit end

local OF_RUNS = { repo = true, org = true, label = true }

function gates.is_full(limit_key)
  local limit = gates.limit(limit_key)
  return limit and gates.used(limit_key) >= limit
end

-- Whether more run under a key than may.
function gates.is_beyond(limit_key)
  local limit = gates.limit(limit_key)
  return limit and gates.used(limit_key) > limit
end

-- until when a key is shut by the clock, 0 when it is not
function gates.shut_until(limit_key)
  local gate = seen(limit_key).shut
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
    local text = seen(limit_key).frozen
    if not text then return nil end
    freeze = freezes.read(text)
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
  return { key = limit_key, reason = reason, text = text, used = gates.used(limit_key), limit = gates.limit(limit_key), ['until'] = ends }
end

local function frozen(limit_key, freeze)
  return refusal(limit_key, 'frozen', freezes.text(limit_key == '*' and 'queue' or limit_key, freeze), freeze['until'])
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

-- Why nothing starts under this key now, or nil. In this order: frozen, gate shut (back-off, quota, pace), full, ramp.
function gates.refuses(limit_key, pool)
  local grouped = accounts.pool(limit_key)
  if grouped then return accounts.refuses(grouped) end
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
  if gates.is_full(limit_key) then
    return refusal(limit_key, 'full',
      'queue at capacity: ' .. label(limit_key, pool) .. ' ' .. gates.used(limit_key) .. '/' .. string.format('%.0f', gates.limit(limit_key)))
  end
  return ramp.refuses(limit_key)
end

function gates.admits(limit_key) return gates.refuses(limit_key) == nil end

-- The first key of a lane that says no, or nil; after the pool its accounts. `*` is judged once a call by the caller, before any lane.
function gates.judge(keys)
  gates.see(keys)
  for at, limit_key in ipairs(keys) do
    local no = gates.refuses(limit_key, keys[1]) or at == 1 and accounts.refuses(limit_key)
    if no then return no end
  end
  return nil
end

function gates.with_holders(no)
  if not no then return nil end
  if no.reason == 'full' then
    no.holders = base.list(accounts.holders(no.key) or redis.call('SRANDMEMBER', base.key('slots', no.key), 10))
    table.sort(no.holders)
  elseif no.reason == 'ramp' then
    no.holders = base.list(accounts.trying(no.key) or ramp.trying(no.key))
  elseif no.reason == 'hosts_full' then
    no.holders, no.among = base.list(rooms.holders(no.among or { no.key })), nil -- of those hosts, or of the one
  end
  return no
end
