-- What a change will write, checked before anything is written: a script is not rolled back when it stops half-way.
-- A damaged key that stops a question answers `damaged`. One met by work that nobody asked for (timers, wakes) is passed over.

-- What a check wants of keys. Sorted sets and sets are looked at all at once: an intersection with a key that is
-- not there reads nothing, and refuses a key of another type.
local ALL = { zset = 'ZINTERCARD', set = 'SINTERCARD' }

local function wants() return { zset = {}, set = {} } end

local function want(wanted, kind, key)
  if call.checked[key] == kind then return end
  local list = wanted[kind]
  if not list then return base.expect(kind, key) end
  list[#list + 1] = key
end

local MOST = 500 -- keys a command

local function check(wanted)
  for kind, command in pairs(ALL) do
    local list = wanted[kind]
    for from = 1, #list, MOST do
      local to = math.min(from + MOST - 1, #list)
      local answer = redis.pcall(command, to - from + 2, base.key('nothing'), unpack(list, from, to))
      for at = from, to do
        if type(answer) == 'table' then base.expect(kind, list[at]) end -- finds which
        call.checked[list[at]] = kind
      end
    end
  end
end

-- Keys that nearly every writing verb touches.
local SHARED = { 'leases', 'timers', 'later', 'poked', 'hosts', 'routes', 'blocked', 'ages', 'status:queued', 'status:running' }
local OTHERS = { string = { 'fence', 'place' }, hash = { 'limits' } }
-- What is there only while something is shut, paced, or failing: mostly nothing of it is.
local RARE = { 'backoff', 'backoff_reason', 'frozen', 'fail_count', 'next_start', 'ramp', 'weights', 'opening' }

-- A `lean` verb takes its token before it writes anything else of a grant, and no place; it looks at the stream by facts.sound.
local function shared(wanted, lean)
  for _, name in ipairs(SHARED) do want(wanted, 'zset', base.key(name)) end
  want(wanted, 'set', base.key('slots', '*'))
  if not lean then
    want(wanted, 'stream', base.key('events'))
    for kind, names in pairs(OTHERS) do
      for _, name in ipairs(names) do want(wanted, kind, base.key(name)) end
    end
  end
  local keys = {}
  for i, name in ipairs(RARE) do keys[i] = base.key(name) end
  if lean then call.kept_none = redis.call('EXISTS', base.key('blocked'), unpack(keys)) == 0 end
  call.rare = not call.kept_none and redis.call('EXISTS', unpack(keys)) > 0
  if not call.rare then return end
  for i, name in ipairs(RARE) do want(wanted, name == 'opening' and 'string' or 'hash', keys[i]) end
end

function sound.shared()
  local wanted = wants()
  shared(wanted)
  check(wanted)
end

-- Runs `check(...)`. Answers true and what it answered, or false and the damage it met.
function sound.holds(doing, ...)
  local fine, answer = pcall(doing, ...)
  if not fine and (type(answer) ~= 'table' or not answer.damaged) then error(answer, 0) end
  return fine, answer
end

-- What paces a key: only pools have rates.
local function paced(wanted, limit_key)
  if limit_key == '*' or limit_key:find(':', 1, true) then return end
  want(wanted, 'hash', base.key('rates', limit_key))
end

-- A limit key that may open: its slots, and every route that has lanes blocked on it.
local function key(wanted, limit_key, is_blocked)
  want(wanted, 'set', base.key('slots', limit_key))
  for _, member in ipairs(accounts.members(accounts.pool(limit_key) or '')) do want(wanted, 'set', base.key('slots', member)) end
  if not is_blocked then return end
  paced(wanted, limit_key)
  base.expect('set', base.key('groups', limit_key))
  for _, route in ipairs(redis.call('SMEMBERS', base.key('groups', limit_key))) do
    want(wanted, 'zset', base.key('blocked', limit_key, route))
    want(wanted, 'zset', base.key('ready', route))
  end
end

-- `keeps`: its groups are looked at also where it is not known that it keeps anybody.
function sound.key(limit_key, keeps)
  local wanted = wants()
  paced(wanted, limit_key)
  for _, one in ipairs(accounts.with_group { limit_key }) do
    key(wanted, one, keeps or redis.call('ZSCORE', base.key('blocked'), one))
  end
  check(wanted)
end

local function matched(wanted, host, routes)
  for _, route in ipairs(routes) do
    want(wanted, 'set', base.key('served', route))
    want(wanted, 'zset', base.key('waiting', route))
  end
  want(wanted, 'hash', base.key('host', host))
  want(wanted, 'set', base.key('serves', host))
end

-- A lane that gains or loses a workspace: wherever in its route it may stand, and a route that is new.
local function whole_lane(wanted, lane)
  local route, keys = queue.parts(lane)
  if not route then return end -- no lane, but a word that was written by hand
  want(wanted, 'hash', base.key('lanes', route))
  want(wanted, 'zset', base.key('lane', lane))
  want(wanted, 'zset', base.key('ready', route))
  for _, limit_key in ipairs(accounts.beside(keys)) do
    want(wanted, 'set', base.key('slots', limit_key))
    paced(wanted, limit_key)
    want(wanted, 'set', base.key('groups', limit_key))
    want(wanted, 'zset', base.key('blocked', limit_key, route))
  end
  if redis.call('ZSCORE', base.key('routes'), route) then return end
  for _, host in ipairs(redis.call('ZRANGE', base.key('hosts'), 0, -1)) do matched(wanted, host, { route }) end
end

function sound.lane(lane)
  local wanted = wants()
  whole_lane(wanted, lane)
  check(wanted)
end

-- A lane that moves into the group of a key of its own.
function sound.group(limit_key, route)
  local wanted = wants()
  want(wanted, 'set', base.key('groups', limit_key))
  want(wanted, 'zset', base.key('blocked', limit_key, route))
  check(wanted)
end

-- A run that gives back what it holds, and whose lane goes by what it took.
local function release(wanted, row)
  local keys, stands = accounts.with_group(lease.holds(row)), nil
  local blocked, is_kept = {}, false
  if keys[1] and not call.kept_none then
    local asked = base.list(keys)
    asked[#asked + 1] = 'accounts:' .. keys[1] -- what the accounts of its pool kept stands there, also after they are gone
    blocked = redis.call('ZMSCORE', base.key('blocked'), unpack(asked))
    is_kept = table.remove(blocked)
  end
  for i, limit_key in ipairs(keys) do
    key(wanted, limit_key, blocked[i])
    is_kept = is_kept or blocked[i]
  end
  if row.charged and row.lane then
    local route = queue.parts(row.lane)
    fair.look(row.lane)
    stands = queue.stands(row.lane, is_kept)
    if stands then want(wanted, 'zset', queue.place_of(route, stands)) end
  end
  call.looked = { row = row, stands = stands, blocked = blocked } -- what its ending need not ask again
end

-- What was found of a run that is about to end; nil when another was looked at last, or something has moved since.
function sound.looked(row) return call.looked and call.looked.row == row and call.looked or nil end

-- A workspace that goes to status `to`; `row` needs its status, lane and host.
function sound.run(name, row, host, to)
  local wanted = wants()
  want(wanted, 'hash', base.key('workspace', name))
  want(wanted, 'zset', base.key('status', to))
  if row.status then want(wanted, 'zset', base.key('status', row.status)) end
  if host then want(wanted, 'set', base.key('held', host)) end
  if row.lane then whole_lane(wanted, row.lane) end
  if row.status == 'running' then release(wanted, row) end
  check(wanted)
end

-- The few fields of a record that the checks need, without its task; nil when there is none.
function sound.record(name)
  base.expect('hash', base.key('workspace', name))
  local row = redis.call('HMGET', base.key('workspace', name), 'status', 'lane', 'host', 'pinned', 'account', 'deadline')
  if not row[1] then return nil end
  return { status = row[1], lane = row[2] or nil, host = row[3] or nil, pinned = row[4] or nil, account = row[5] or nil,
    deadline = row[6] or nil }
end

-- A run that ends as `to`, or goes back into the queue.
function sound.ending(name, to)
  local row = sound.record(name)
  if row and row.status == 'running' then sound.run(name, row, row.host, to) end
  return row
end

local function claimer(wanted, host)
  want(wanted, 'set', base.key('held', host))
  for _, route in ipairs(hosts.serves(host)) do
    want(wanted, 'zset', base.key('waiting', route))
    want(wanted, 'zset', base.key('ready', route))
  end
end

-- A host that asks for work, or stops waiting for it.
function sound.claimer(host)
  local wanted = wants()
  want(wanted, 'hash', base.key('host', host))
  claimer(wanted, host)
  check(wanted)
end

-- All that a call writes which ends a run, hands a host the next, or both, and that it does not read first:
-- `row` is the run's, `to` what it becomes.
function sound.lean(row, to, host)
  local wanted = wants()
  shared(wanted, true)
  if row then
    want(wanted, 'zset', base.key('status', to))
    if row.host then want(wanted, 'set', base.key('held', row.host)) end
    release(wanted, row)
    gates.see({ '*', unpack(lease.keys(row)) })
  end
  if host then claimer(wanted, host) end
  check(wanted)
end

-- A host whose routes are matched anew, or forgotten.
function sound.matching(host)
  local wanted = wants()
  claimer(wanted, host)
  matched(wanted, host, hosts.serves(host))
  matched(wanted, host, redis.call('ZRANGE', base.key('routes'), 0, -1))
  check(wanted)
end
