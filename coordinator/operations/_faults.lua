-- Faults: what the keys say that the records do not, and the other way round. Read from one key at a time; nothing here writes.
-- A fault is {class, key (without the root), workspace?, text, mend?, until?}; `mend` names what mends it (see _mends.lua).
-- leaked: an entry without an owner. doubled: a second place of something that has one. orphaned: what its own place does not know.
local FIELDS = { 'status', 'lane', 'host', 'account', 'not_before', 'deadline', 'mode', 'ttl', 'confirmed' }

local function read(name)
  local row = call.rows[name]
  if row == nil then
    row = {}
    for i, value in ipairs(redis.call('HMGET', base.key('workspace', name), unpack(FIELDS))) do row[FIELDS[i]] = value or nil end
    row = next(row) and row or redis.call('EXISTS', base.key('workspace', name)) == 1 and row or false
    call.rows[name] = row
  end
  return row
end

local function add(class, key, name, text, mend, more)
  local one = { class = class, key = key, workspace = name, text = text, mend = mend or nil }
  for field, value in pairs(more or {}) do one[field] = value end
  call.faults[#call.faults + 1] = one
end

local function has(key, name) return redis.call('ZSCORE', key, name) and true or false end

local function exists(...) return redis.call('EXISTS', base.key(...)) == 1 end

-- An entry that names a workspace without a right to. Where there is no record nothing says that it has ended: while its lease lasts
-- its host may still tell of it, and it is let be.
local function stray(key, name, row, is_doubled, text, mend, more)
  if row then return add(is_doubled and 'doubled' or 'leaked', key, name, text, mend, more) end
  local ends = base.number(redis.call('ZSCORE', base.key('leases'), name))
  if not ends or ends <= call.now then return add('leaked', key, name, 'there is no record of it', mend, more) end
  more = more or {}
  more['until'] = ends
  add('leaked', key, name, 'there is no record of it; its host may tell of it while its lease lasts', nil, more)
end

local function says(row) return row and 'it is ' .. (row.status or 'without a status') or nil end

local function holds(row, limit_key)
  if limit_key == '*' then return true end
  for _, one in ipairs(lease.holds(row)) do
    if one == limit_key then return true end
  end
  return false
end

-- What is wrong with one member of a key: `family` -> {how it is walked, check(key, rest of its name, member, value)}.
local each = {}

each.slots = { 'SSCAN', function(key, limit_key, name)
  local row = read(name)
  local runs = row and row.status == 'running'
  if runs and holds(row, limit_key) then return end
  stray(key, name, row, runs, runs and 'it runs without this key' or says(row), 'vacate', { of = limit_key })
end }

each.held = { 'SSCAN', function(key, host, name)
  local row = read(name)
  local runs = row and row.status == 'running'
  if runs and row.host == host then return end
  stray(key, name, row, runs, runs and 'it runs on ' .. (row.host or 'nobody knows which host') or says(row), 'release', { of = host })
end }

each.leases = { 'ZSCAN', function(key, _, name)
  local row = read(name)
  if not row or row.status ~= 'running' then stray(key, name, row, false, says(row), 'take_out') end
end }

each.later = { 'ZSCAN', function(key, _, name)
  local row = read(name)
  if row and row.status == 'queued' and (row.not_before or row.deadline) then return end
  stray(key, name, row, false, says(row) and says(row) .. ', and waits for no time', 'take_out')
end }

each.status = { 'ZSCAN', function(key, status, name)
  local row = read(name)
  if row and row.status == status then return end
  local twice = row and question.is_status(row.status) and has(base.key('status', row.status), name)
  stray(key, name, row, twice, says(row), 'take_out', { ended = true })
end }

each.lane = { 'ZSCAN', function(key, lane, name)
  local row = read(name)
  local waits = row and row.status == 'queued'
  if waits and row.lane == lane then return end
  local twice = waits and row.lane and has(base.key('lane', row.lane), name)
  stray(key, name, row, twice, waits and 'it waits in another lane' or says(row), 'leave', { of = lane })
end }

each.lanes = { 'HSCAN', function(key, route, lane)
  if queue.parts(lane) ~= route then return add('leaked', key, nil, lane .. ' is of another route', 'take_out', { member = lane }) end
  if not exists('lane', lane) then add('leaked', key, nil, 'nothing waits in ' .. lane, 'leave', { of = lane }) end
end }

local function placed(key, route, where, lane)
  local stands = redis.call('HGET', base.key('lanes', route), lane)
  if stands == where then return end
  local twice = stands and has(queue.place_of(route, stands), lane)
  add(twice and 'doubled' or 'leaked', key, nil, lane .. ' stands ' .. (stands and 'elsewhere' or 'nowhere'), 'displace',
    { of = lane, route = route, where = where })
end

each.ready = { 'ZSCAN', function(key, route, entry)
  local limit_key = entry:match('^@(.+)$')
  if not limit_key then return placed(key, route, '', entry) end
  if exists('blocked', limit_key, route) then return end
  add('leaked', key, nil, entry .. ' marks a group that is not there', 'mark', { of = limit_key, route = route })
end }

each.blocked = { 'ZSCAN', function(key, rest, member)
  if rest == '' then
    if not exists('groups', member) then add('leaked', key, nil, member .. ' has no groups', 'take_out', { member = member }) end
    return
  end
  local limit_key, route = rest:match('^(.+):([^:]+)$')
  if limit_key then placed(key, route, limit_key, member) end
end }

-- K admits and keeps somebody waiting: then it is marked, but while timers or a walk are due that do it.
local function is_asleep(limit_key, route)
  if has(base.key('ready', route), '@' .. limit_key) or not gates.admits(limit_key) then return false end
  return not exists('opening') and redis.call('ZCOUNT', base.key('timers'), '-inf', call.now) == 0
end

each.groups = { 'SSCAN', function(key, limit_key, route)
  if not exists('blocked', limit_key, route) then
    add('leaked', key, nil, 'nothing of ' .. route .. ' is blocked', 'mark', { of = limit_key, route = route })
  elseif not has(base.key('blocked'), limit_key) then
    add('orphaned', key, nil, limit_key .. ' is not among the blocked', 'group', { of = limit_key, route = route })
  elseif is_asleep(limit_key, route) then
    add('orphaned', key, nil, limit_key .. ' admits, and ' .. route .. ' is not told', 'open', { of = limit_key })
  end
end }

-- What is known of a host that is not there: its next beat makes all of it anew.
local function of_a_host(command, at)
  return { command, function(key, rest, member)
    local host = at == 'rest' and rest or member
    if not exists('host', host) then add('leaked', key, nil, 'there is no host ' .. host, 'take_out', { member = member }) end
  end }
end
each.hosts, each.poked, each.waiting = of_a_host('ZSCAN'), of_a_host('ZSCAN'), of_a_host('ZSCAN')
each.served, each.serves = of_a_host('SSCAN'), of_a_host('SSCAN', 'rest')

faults.each, faults.read, faults.add, faults.has = each, read, add, has
