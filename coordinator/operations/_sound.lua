-- What a change will write, checked before anything is written: a script is not rolled back when it stops half-way.
-- A damaged key that stops a question answers `damaged`. One met by work that nobody asked for (timers, wakes) is passed over.

-- Keys that nearly every writing verb touches.
local SHARED = {
  zset = { 'leases', 'timers', 'poked', 'hosts', 'routes', 'blocked', 'later', 'status:queued', 'status:running' },
  stream = { 'events' },
  hash = { 'limits', 'backoff', 'backoff_reason', 'frozen', 'fail_count', 'next_start' },
  string = { 'fence', 'place', 'due', 'opening', 'ended' },
  set = { 'slots:*' },
}

function sound.shared()
  for kind, names in pairs(SHARED) do
    for _, name in ipairs(names) do base.expect(kind, base.key(name)) end
  end
end

-- Runs `check(...)`. Answers true and what it answered, or false and the damage it met.
function sound.holds(check, ...)
  local fine, answer = pcall(check, ...)
  if not fine and (type(answer) ~= 'table' or not answer.damaged) then error(answer, 0) end
  return fine, answer
end

-- What paces a key: only pools have rates.
local function paced(limit_key)
  if limit_key == '*' or limit_key:find(':', 1, true) then return end
  base.expect('hash', base.key('rates', limit_key))
  base.expect('hash', base.key('starts', limit_key))
end

-- A limit key that may open: its slots, and every route that has lanes blocked on it.
function sound.key(limit_key)
  base.expect('set', base.key('slots', limit_key))
  paced(limit_key)
  if not redis.call('ZSCORE', base.key('blocked'), limit_key) then return end
  base.expect('set', base.key('groups', limit_key))
  for _, route in ipairs(redis.call('SMEMBERS', base.key('groups', limit_key))) do
    base.expect('zset', base.key('blocked', limit_key, route))
    base.expect('zset', base.key('ready', route))
  end
end

local function matched(host, routes)
  for _, route in ipairs(routes) do
    base.expect('set', base.key('served', route))
    base.expect('zset', base.key('waiting', route))
  end
  base.expect('hash', base.key('host', host))
  base.expect('set', base.key('serves', host))
end

-- A lane that gains or loses a workspace: wherever in its route it may stand, and a route that is new.
function sound.lane(lane)
  local route, keys = queue.parts(lane)
  base.expect('hash', base.key('lanes', route))
  base.expect('zset', base.key('lane', lane))
  base.expect('zset', base.key('ready', route))
  for _, limit_key in ipairs(keys) do
    base.expect('set', base.key('slots', limit_key))
    paced(limit_key)
    base.expect('set', base.key('groups', limit_key))
    base.expect('zset', base.key('blocked', limit_key, route))
  end
  if redis.call('ZSCORE', base.key('routes'), route) then return end
  for _, host in ipairs(redis.call('ZRANGE', base.key('hosts'), 0, -1)) do matched(host, { route }) end
end

-- A workspace that goes to status `to`; `row` needs its status, lane and host.
function sound.run(name, row, host, to)
  base.expect('hash', base.key('workspace', name))
  base.expect('zset', base.key('status', to))
  if row.status then base.expect('zset', base.key('status', row.status)) end
  if host then base.expect('set', base.key('held', host)) end
  if row.lane then sound.lane(row.lane) end
  if row.status == 'running' then
    for _, limit_key in ipairs(lease.keys(row)) do sound.key(limit_key) end
  end
end

-- The few fields of a record that the checks need, without its task; nil when there is none.
function sound.record(name)
  base.expect('hash', base.key('workspace', name))
  local row = redis.call('HMGET', base.key('workspace', name), 'status', 'lane', 'host', 'requires', 'pinned')
  if not row[1] then return nil end
  return { status = row[1], lane = row[2] or nil, host = row[3] or nil, requires = row[4] or nil, pinned = row[5] or nil }
end

-- A run that ends as `to`, or goes back into the queue.
function sound.ending(name, to)
  local row = sound.record(name)
  if row and row.status == 'running' then sound.run(name, row, row.host, to) end
  return row
end

-- A host that asks for work, or stops waiting for it.
function sound.claimer(host)
  base.expect('hash', base.key('host', host))
  base.expect('set', base.key('held', host))
  base.expect('set', base.key('serves', host))
  for _, route in ipairs(redis.call('SMEMBERS', base.key('serves', host))) do
    base.expect('zset', base.key('waiting', route))
    base.expect('zset', base.key('ready', route))
  end
end

-- A host whose routes are matched anew, or forgotten.
function sound.matching(host)
  sound.claimer(host)
  matched(host, redis.call('SMEMBERS', base.key('serves', host)))
  matched(host, redis.call('ZRANGE', base.key('routes'), 0, -1))
end
