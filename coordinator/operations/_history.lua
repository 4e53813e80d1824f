-- History: what has ended is kept for the setting `history`, then only counted, by pool.
history.MOST = 16 -- forgotten a call
local ENDED = { 'completed', 'merged', 'ready-for-review', 'failed' } -- not blocked: that is a question nobody answered
local MOST_SUMMED = 99999999999999
local FIELDS = { 'status', 'agent', 'mode', 'started_at', 'ended_at', 'cost_usd', 'token', 'tracked', 'updated_at' }

-- Adds a record to the summary of its pool: one of its status, how long its last run took, what all its runs cost.
local function sum_up(row)
  local pool = (row.agent or ''):match('^%w[%w._-]*') or 'unknown'
  local started, ended = base.number(row.started_at), base.number(row.ended_at)
  local took = row.mode and started and ended and ended - started or 0 -- without a mode it ended while it waited
  local sums = {}
  for what, more in pairs { [row.status] = 1, ms = math.max(took, 0), cost_usd = math.max(base.count(row.cost_usd), 0) } do
    local field = pool .. ' ' .. what
    local was = base.count(redis.call('HGET', base.key('summary'), field))
    if more > 0 then sums[field] = math.min(was + more, MOST_SUMMED) end
  end
  base.write(base.key('summary'), sums)
end

-- Its record is gone, and counted. One that stands under another status than its own was moved by hand, and is only taken out.
local function forget(name, status)
  local row = {}
  for i, value in ipairs(redis.call('HMGET', base.key('workspace', name), unpack(FIELDS))) do row[FIELDS[i]] = value or nil end
  if row.status == status and row.updated_at and row.mode ~= 'pull' and row.tracked ~= '2' then
    -- It ended otherwise than by its disk's word or under a worker, which writes its file: that may still say that it waits or runs.
    -- Without the record it would be queued again.
    redis.call('ZADD', base.key('status', status), call.now, name)
    return false
  end
  if row.status == status then
    if not row.tracked then sum_up(row) end -- what a disk told ended elsewhere, or was counted before
    redis.call('DEL', base.key('workspace', name))
  end
  redis.call('ZREM', base.key('status', status), name)
  return true
end

-- Where an ending that a disk tells of stands in the index: at its date. One that is too old is kept for a while, at most a day.
local DAY = 86400000

function history.since(ended_at)
  local kept = base.settings().history
  return math.max(ended_at, call.now - kept + math.min(DAY, math.floor(kept / 2)))
end

local function due(status, most)
  local till = string.format('%.0f', call.now - base.settings().history)
  return redis.call('ZRANGEBYSCORE', base.key('status', status), '-inf', till, 'LIMIT', 0, most)
end

-- Forgets what ended so long ago, the oldest of each status first. A damaged record is looked at again a history later.
function history.forget()
  local forgotten, looked = 0, 0
  if not sound.holds(base.expect, 'hash', base.key('summary')) then return 0 end
  for _, status in ipairs(ENDED) do
    local fine, names = sound.holds(due, status, history.MOST - looked)
    for _, name in ipairs(fine and names or {}) do
      looked = looked + 1
      if sound.holds(base.expect, 'hash', base.key('workspace', name)) then
        if forget(name, status) then forgotten = forgotten + 1 end
      else
        redis.call('ZADD', base.key('status', status), call.now, name)
      end
    end
  end
  return forgotten
end

-- What was forgotten: pool -> counts by status, `ms` and `cost_usd`; nil while nothing was.
function history.summary()
  local pools = {}
  for field, text in pairs(base.hash(base.key('summary'))) do
    local pool, what = field:match('^(%w[%w._-]*) ([%w_-]+)$')
    local sum = math.floor(math.max(base.count(text), 0)) -- it may have been edited by hand
    if pool then
      local told = pools[pool] or { ms = 0, cost_usd = 0 }
      pools[pool] = told
      if what == 'ms' or what == 'cost_usd' then told[what] = sum end
      for _, status in ipairs(ENDED) do
        if what == status then told.counts = told.counts or {} told.counts[status] = sum end
      end
    end
  end
  return base.some(pools)
end
