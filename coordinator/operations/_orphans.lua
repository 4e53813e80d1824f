-- Orphans: what is wrong with a key itself, beside its members: a record, a lane, a group or a host that its own places do not know.
-- `whole.<family>(key, rest of its name)` adds the faults; nothing here writes.
local add, has = faults.add, faults.has
local whole = {}

local function knows(name, limit_key)
  if redis.call('SISMEMBER', base.key('slots', limit_key), name) == 1 then return end
  add('orphaned', 'slots:' .. limit_key, name, 'it runs and does not hold its slot', 'occupy', { of = limit_key })
end

-- Its host has beaten at least twice since it last told of it. Only the end of its lease proves what became of it.
local function untold(name, row, deadline)
  local beat = base.number(redis.call('HGET', base.key('host', row.host), 'beat'))
  local told = row.mode == 'pull' or (row.mode == 'push' and row.confirmed)
  if not told or hosts.is_silent(beat) then return end
  local ttl = math.min(base.count(row.ttl), base.setting('lease_ttl'))
  if deadline + 2 * base.setting('beat') >= beat + ttl then return end
  local text = 'its host does not tell of it any more: it is lost when its lease is over'
  add('orphaned', 'held:' .. row.host, name, text, nil, { ['until'] = deadline })
end

local function running(name, row)
  knows(name, '*')
  for _, limit_key in ipairs(lease.holds(row)) do knows(name, limit_key) end
  local deadline = base.number(redis.call('ZSCORE', base.key('leases'), name))
  if not deadline then add('orphaned', 'leases', name, 'it runs without a lease', 'lend') end
  if not row.host then return add('orphaned', 'workspace:' .. name, name, 'it runs, and the record names no host') end
  if redis.call('SISMEMBER', base.key('held', row.host), name) == 0 then
    add('orphaned', 'held:' .. row.host, name, 'it runs there', 'hold', { of = row.host })
  elseif deadline then
    untold(name, row, deadline)
  end
end

local function queued(name, row)
  if not (row.lane and queue.parts(row.lane)) then return add('orphaned', 'workspace:' .. name, name, 'it waits, and the record names no lane') end
  local when, not_before = base.number(redis.call('ZSCORE', base.key('later'), name)), base.number(row.not_before)
  if has(base.key('lane', row.lane), name) then
    if row.deadline and not when then add('orphaned', 'later', name, 'its deadline is not kept', 'wait') end
  elseif not when or not not_before or (when ~= not_before and not_before <= call.now) then
    add('orphaned', 'lane:' .. row.lane, name, 'it waits and stands in no lane', 'wait')
  end
end

function whole.workspace(key, name)
  local row = faults.read(name)
  if not row then return end
  if not question.is_status(row.status) then return add('orphaned', key, name, 'the record has no status that is known') end
  if not has(base.key('status', row.status), name) then
    add('orphaned', 'status:' .. row.status, name, 'it is ' .. row.status .. ', and not listed', 'list')
  end
  if row.status == 'running' then running(name, row) end
  if row.status == 'queued' then queued(name, row) end
end

function whole.lane(key, lane)
  if redis.call('EXISTS', base.key('lane', lane)) == 0 then return end
  local route = queue.parts(lane)
  if not route then return end
  local where = redis.call('HGET', base.key('lanes', route), lane)
  if where and has(queue.place_of(route, where), lane) then return end
  add('orphaned', key, nil, 'this lane stands nowhere', 'stand', { of = lane })
end

function whole.blocked(key, rest)
  local limit_key, route = rest:match('^(.+):([^:]+)$')
  if not limit_key or redis.call('EXISTS', base.key('blocked', rest)) == 0 then return end
  if redis.call('SISMEMBER', base.key('groups', limit_key), route) == 1 then return end
  add('orphaned', key, nil, 'this group is not known to its key', 'group', { of = limit_key, route = route })
end

function whole.host(key, host)
  if redis.call('EXISTS', base.key('host', host)) == 0 or has(base.key('hosts'), host) then return end
  add('orphaned', key, nil, 'this host is not listed', 'register', { of = host })
end

-- One look at one thing, a key or a member of it: its faults. A key of the wrong type has none here: doctor names it by its type.
local function look(check, ...)
  call.faults = {}
  local fine = sound.holds(check, ...)
  return fine and call.faults or {}
end

orphans.MOST_KEYS = 128 -- a question
local MOST, PART = 128, 64 -- entries a call, and a step of a walk

-- A part of a walk over these keys (names without the root) from a cursor on: `<how many are passed>:<cursor in the next>`.
-- Answers what was looked at and is wrong, as {what = {check, its arguments}, faults}, and the cursor to go on with; nil at the end.
function orphans.part(keys, cursor)
  local found, looked, seen = {}, 0, {}
  local function see(check, key, rest, member)
    looked = looked + 1
    local name = key .. '\n' .. (member or '')
    if seen[name] then return end -- a key may be named twice, and a walk may come to a member twice
    seen[name] = true
    local some = look(check, key, rest, member)
    if some[1] then found[#found + 1] = { what = { check, key, rest, member }, faults = some } end
  end
  call.rows = {}
  local at, inner = (cursor or ''):match('^(%d%d?%d?):(%d+)$')
  if not at or #inner > 15 then at, inner = 0, '0' end -- none, or no cursor of ours
  at = tonumber(at)
  while at < #keys and looked < MOST do
    local key = keys[at + 1]
    local family, rest = key:match('^([^:]+):?(.*)$')
    local walk = faults.each[family or '']
    if inner == '0' and whole[family or ''] and rest ~= '' then see(whole[family], key, rest) end
    if walk then
      local fine, step = sound.holds(redis.call, walk[1], base.key(key), inner, 'COUNT', PART)
      for i = 1, fine and #step[2] or 0, walk[1] == 'SSCAN' and 1 or 2 do see(walk[2], key, rest, step[2][i]) end
      inner = fine and step[1] or '0'
    end
    looked = looked + 1
    if inner == '0' then at = at + 1 end
  end
  return found, at < #keys and string.format('%d:%s', at, inner) or nil
end

-- The same look once more, before something is mended: what was mended before it may have changed it.
function orphans.again(one)
  call.rows = {}
  return look(unpack(one.what))
end
