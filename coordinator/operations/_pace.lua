-- Pace: how soon after its last start a pool may start again, and how often between two resets.
-- The delay is that of the moment of asking: `burst_delay` in the last `burst_window` before the reset, else `sustained_delay`;
-- `min_delay` is the least of both. Without `sustained_delay` there is none, as in the reference runner. Times are milliseconds.
local DAY = 86400000
pace.FIELDS = { reset_utc = 'line', daily_limit = 'integer', min_delay = 'integer', sustained_delay = 'integer',
  burst_window = 'integer', burst_delay = 'integer' }

-- HH:MM as the reference runner reads it: a part that is no number keeps its default, one out of range rolls over.
local function time_of_day(text)
  local hour, minute = (text or ''):match('^([^:]*):([^:]*)')
  hour = hour and base.number(hour:match('^%s*([+-]?%d+)%s*$')) or 6
  minute = base.count(minute and minute:match('^%s*([+-]?%d+)%s*$'))
  return (hour * 60 + minute) * 60000 % DAY
end

-- The rates of a pool; false where a key is none, and has none.
local function read(limit_key)
  local known = call.paces[limit_key]
  if known ~= nil then return known end
  local found = false
  if limit_key ~= '*' and not limit_key:find(':', 1, true) then
    local rates = base.is_named('paced', limit_key) and redis.call('HMGET', base.key('rates', limit_key), 'reset_utc', 'daily_limit',
      'min_delay', 'sustained_delay', 'burst_window', 'burst_delay') or {}
    local daily, sustained = base.count(rates[2]), base.count(rates[4])
    local least = base.count(rates[3])
    found = { offset = time_of_day(rates[1] or nil), daily = daily, delays = sustained > 0, sustained = math.max(sustained, least),
      burst = math.max(base.count(rates[6]), least), window = base.count(rates[5]) }
  end
  call.paces[limit_key] = found
  return found
end

-- Its starts, in a field of the control hash, which every call reads: the last, and since which reset how many there were.
-- Kept also while nothing paces it, for the day that something does.
local function field_of(limit_key) return 'starts:' .. limit_key end

local function with_starts(pool, limit_key)
  if pool.count then return end
  local last, since, count = (call.control[field_of(limit_key)] or ''):match('^(%d+) (%d+) (%d+)$')
  pool.last, pool.since, pool.count = base.number(last), base.number(since), base.count(count)
end

local function keep(pool, limit_key)
  base.keep(field_of(limit_key), string.format('%d %d %d', pool.last, pool.since, pool.count))
end

local function paced(limit_key)
  local pool = read(limit_key)
  if not pool or not (pool.delays or pool.daily > 0) then return nil end
  with_starts(pool, limit_key)
  return pool
end

local function reset_before(pool, when) return pool.offset + math.floor((when - pool.offset) / DAY) * DAY end

local function in_burst(pool, when) return pool.window > 0 and reset_before(pool, when) + DAY - when <= pool.window end

local function next_burst(pool, when)
  if pool.window <= 0 then return math.huge end
  return in_burst(pool, when) and when or reset_before(pool, when) + DAY - pool.window
end

local function next_sustained(pool, when)
  if not in_burst(pool, when) then return when end
  return pool.window < DAY and reset_before(pool, when) + DAY or math.huge
end

-- The count holds until a reset passes its last start: another time of the reset does not forgive what has started.
local function counts(pool) return pool.last and pool.last >= reset_before(pool, call.now) end

-- When the delay since the last start is over, and when the clock alone makes it another: an edge of the burst may shut
-- a pool again that nobody started.
local function delayed(pool)
  if not pool.delays or not pool.last then return 0, nil end
  local burst = in_burst(pool, call.now)
  local sustained_at, burst_at = pool.last + pool.sustained, pool.last + pool.burst
  if call.now >= (burst and burst_at or sustained_at) then
    local edge = burst and next_sustained(pool, call.now) or next_burst(pool, call.now)
    return 0, edge < (burst and sustained_at or burst_at) and edge or nil
  end
  local open = math.min(next_sustained(pool, math.max(call.now, sustained_at)), next_burst(pool, math.max(call.now, burst_at)))
  open = base.until_after(open - call.now)
  return open, open
end

-- Until when nothing starts under this key (0: it may start now), why (`quota` or `pace`), when the clock next changes
-- that (nil: never), and the numbers of the quota.
function pace.judge(limit_key)
  local pool = paced(limit_key)
  if not pool then return 0 end
  if pool.daily > 0 and pool.count >= pool.daily and counts(pool) then
    local reset = reset_before(pool, call.now) + DAY
    return reset, 'quota', reset, pool.count, pool.daily
  end
  local open, edge = delayed(pool)
  return open, 'pace', edge
end

-- When the reset was that ended a used-up quota; nil where none was, and once the pool has started anew.
function pace.lapsed(limit_key)
  local pool = paced(limit_key)
  if not pool or pool.daily <= 0 or pool.count < pool.daily or not pool.last or counts(pool) then return nil end
  return reset_before(pool, pool.last) + DAY
end

-- Nothing is to remember of a quota that a reset has ended.
function pace.forgive(limit_key)
  if not pace.lapsed(limit_key) then return end
  local pool = read(limit_key)
  pool.count = 0
  keep(pool, limit_key)
end

-- All that a start of this pool will read: a damaged key stops it here, before it writes.
function pace.look(limit_key) read(limit_key) end

-- Whether a pool of this name has ever started something.
function pace.known(pool) return call.control[field_of(pool)] ~= nil end

-- A run of this pool starts now. Answers whether that paces it.
function pace.started(limit_key)
  local pool = read(limit_key)
  if not pool then return false end
  with_starts(pool, limit_key)
  local on = counts(pool)
  pool.since, pool.count = on and pool.since or reset_before(pool, call.now), on and pool.count + 1 or 1
  pool.last = call.now
  keep(pool, limit_key)
  return pool.delays or pool.daily > 0
end

-- Its rates were changed in this call.
function pace.forget(limit_key) call.paces[limit_key] = nil end

-- The rates of all pools, as they stand in the keys; nil for none.
function pace.rates()
  local out = {}
  for _, pool in ipairs(base.named('paced')) do
    local view, row = {}, base.hash(base.key('rates', pool))
    for field, kind in pairs(pace.FIELDS) do
      view[field] = row[field]
      if kind == 'integer' then view[field] = base.number(row[field]) end
    end
    out[pool] = base.some(view)
  end
  return base.some(out)
end
