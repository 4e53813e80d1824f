-- Runs: how a workspace becomes running, how it ends, how it comes back to its place.
-- The fields of a record that a grant carries.
local GRANTED = { 'agent', 'task', 'repo', 'org', 'branch', 'source', 'dir', 'session', 'answer', 'account' }

function lease.record(name)
  local row = base.hash(base.key('workspace', name))
  if next(row) == nil then return nil end
  return row
end

-- Whether a token is above all that is known of a workspace, and was ever given; `past` is that of before it was asked for anew.
function lease.is_newer(row, token) return base.count(row and (row.token or row.past)) < token and token < base.FAR end

-- Whether this is the run that a host holds under this token.
function lease.is_held(row, host, token)
  return row and row.status == 'running' and row.host == host and base.number(row.token) == token
end

function lease.keys(row)
  local _, keys = queue.parts(row.lane or '')
  return keys
end

-- The limit keys that a run holds: those of its lane, and its account.
function lease.holds(row)
  local keys, account = lease.keys(row), accounts.held(row)
  if not account then return keys end
  for _, limit_key in ipairs(keys) do
    if limit_key == account then return keys end -- it was asked for by name
  end
  keys = base.list(keys)
  keys[#keys + 1] = account
  return keys
end

-- The limit keys that were asked for beyond those of its agent, repo, org and labels; for an `agent` of another pool without the
-- accounts of the one it leaves.
function lease.named_keys(row, agent)
  local more, own = {}, {}
  if not row.lane then return more end
  local pool = queue.pool(row.agent)
  local left = agent and queue.pool(agent) ~= pool and pool
  for _, limit_key in ipairs(select(2, queue.keys(row.agent, row.org, row.repo, base.parse(row.labels)))) do own[limit_key] = true end
  for _, limit_key in ipairs(lease.keys(row)) do
    if not own[limit_key] and not (left and accounts.parts(limit_key) == left) then more[#more + 1] = limit_key end
  end
  return more
end

-- The lane of a record, of its agent, org, repo, requires, labels, priority and front; `more` are the limit keys it names beyond them.
function lease.lane(row, more)
  local labels = base.parse(row.labels)
  local pool, keys = queue.keys(row.agent, row.org, row.repo, labels, more)
  return queue.lane(hosts.route(pool, row.requires, labels), keys, row.priority, row.front)
end

-- `ttl` is what is left: a grant that is told again must not outlast its lease.
function lease.grant_of(name, row, deadline)
  local ends = deadline or base.count(redis.call('ZSCORE', base.key('leases'), name))
  local grant = { workspace = name, token = base.number(row.token), ttl = math.max(ends - call.now, 0), attempt = base.number(row.attempt) }
  for _, field in ipairs(GRANTED) do grant[field] = row[field] end
  if row.mode == 'pull' then grant.lane = row.lane end -- for its `restore`
  return grant
end

local function move_status(name, from, to)
  if from then redis.call('ZREM', base.key('status', from), name) end
  redis.call('ZADD', base.key('status', to), call.now, name)
end

local function occupy(name, limit_key)
  local added = redis.call('SADD', base.key('slots', limit_key), name)
  if call.used[limit_key] then call.used[limit_key] = call.used[limit_key] + added end
end

local function vacate(name, limit_key)
  local gone = redis.call('SREM', base.key('slots', limit_key), name)
  if call.used[limit_key] then call.used[limit_key] = call.used[limit_key] - gone end
end

-- Starts a run: slots, lease, token, record, index and fact in one step.
-- `how` is {host, mode, ttl, machine?, tracked?, restored?, token?, charged?, account?}: what a disk tells, or a host that
-- was granted it before, runs under the account that it names, all else under the one that has most room.
function lease.start(name, row, how)
  local account = how.account or not (how.tracked or how.restored) and accounts.pick(lease.keys(row)) or nil
  local token = how.token or base.next('fence')
  local keys = lease.holds { lane = row.lane, account = account }
  occupy(name, '*')
  for _, limit_key in ipairs(keys) do occupy(name, limit_key) end
  local deadline = base.until_after(how.ttl)
  redis.call('ZADD', base.key('leases'), deadline, name)
  redis.call('SADD', base.key('held', how.host), name)
  local fresh = {
    status = 'running', host = how.host, mode = how.mode, machine = how.machine or false, ttl = how.ttl, token = token, started_at = call.now,
    attempt = base.count(row.attempt) + 1, runs = base.count(row.runs) + 1,
    tracked = how.tracked or false, charged = how.charged or false, account = account or false,
    pid = false, question = false, verdict = false, exit_code = false, ended_at = false, kill = false, confirmed = false,
    pr_url = row.pr_url or false, receipt = false, ran_on = how.mode ~= 'asker' and how.host, -- an asker's disk is nobody else's
  }
  fresh.granted = facts.tell('AgentStarted',
    { agent = row.agent, repo = row.repo, workspace = name, host = how.host, token = token, attempt = fresh.attempt,
      restored = how.restored })
  base.write(base.key('workspace', name), fresh, not how.tracked and row or nil) -- track does not tell all of its record
  move_status(name, row.status, 'running')
  facts.notify('started', name, row, fresh.granted)
  for field, value in pairs(fresh) do row[field] = value or nil end
  local ramped = ramp.start(name, keys, how)
  local pool = queue.pool(row.agent)
  if pace.started(pool) then
    latch.time(pool)
    latch.open(pool) -- a timer that was due and is moved has opened it: what waits for it would sleep on
  end
  ramp.moved(ramped)
  facts.due(deadline)
  call.started = true
  later.started(name, row)
  return lease.grant_of(name, row, deadline)
end

-- Gives back what a run holds, and looks at every key that may admit again.
function lease.release(name, row)
  local keys = lease.holds(row)
  local was_shut = not gates.admits('*')
  queue.settle(row)
  vacate(name, '*')
  for _, limit_key in ipairs(keys) do vacate(name, limit_key) end
  redis.call('ZREM', base.key('leases'), name)
  if row.host then redis.call('SREM', base.key('held', row.host), name) end
  -- A worker of the same name shares the host's slots with its askers, and does not see them end.
  if row.host then offers.room(row.host, row.mode == 'pull') end
  ramp.ended(name, keys, call.own_ending == name)
  local looked = sound.looked(row)
  latch.open_all(accounts.with_group(keys), looked and looked.blocked)
  if was_shut then latch.open('*') end
end

-- Ends a workspace, running or waiting, with a status and the fields that say how. The fact goes first: see facts.sound.
function lease.finish(name, row, status, fields)
  local seq = facts.tell('AgentCompleted', {
    agent = row.agent, repo = row.repo, workspace = name, status = status, token = base.number(row.token),
    question = fields.question or nil, pr_url = fields.pr_url or row.pr_url, verdict = fields.verdict or nil, host = row.host,
  })
  if row.status == 'running' then
    lease.release(name, row)
    fields.answer = false -- it was told to this run
  elseif row.status == 'queued' then
    later.leave(name, row)
  end
  if row.front then -- that was for once
    fields.front, fields.lane = false, lease.lane({ agent = row.agent, org = row.org, repo = row.repo, requires = row.requires,
      labels = row.labels, priority = row.priority }, lease.named_keys(row))
  end
  fields.status, fields.ended_at, fields.pid, fields.kill, fields.stilled = status, call.now, false, false, false
  base.write(base.key('workspace', name), fields, row)
  move_status(name, row.status, status)
  facts.notify(status, name, row, seq)
  facts.ended()
end

-- The fence is never below a token that a host was granted, also when the server has forgotten it.
function lease.shown(runs)
  local highest = 0
  for _, one in ipairs(runs or {}) do highest = one.token < base.FAR and math.max(highest, one.token) or highest end
  if highest <= base.count(redis.call('GET', base.key('fence'))) then return end
  redis.call('SET', base.key('fence'), string.format('%.0f', highest))
end

-- Moves a lease on. For a run of a push host this is its word that it starts it.
function lease.prolong(name, row, pid)
  local ttl = row.mode == 'asker' and base.number(row.ttl) or base.setting('lease_ttl')
  local deadline = base.until_after(ttl)
  redis.call('ZADD', base.key('leases'), deadline, name)
  facts.due(deadline)
  local fields = { pid = pid }
  if row.mode == 'push' then
    fields.confirmed, fields.ttl = '1', ttl
    if not row.confirmed then ramp.confirmed(name, lease.holds(row)) end
  end
  base.write(base.key('workspace', name), fields)
  return ttl
end

-- Puts a workspace back into the queue at its old place. Answers the status it then has: one whose deadline is over has failed.
function lease.requeue(name, row, fields)
  if later.missed(row) then return later.give_up(name, row, fields) end
  if row.status == 'running' then lease.release(name, row) end
  fields.status, fields.host, fields.pid, fields.kill, fields.mode, fields.tracked = 'queued', false, false, false, false, false
  fields.account = false
  fields.stilled = false
  base.write(base.key('workspace', name), fields)
  move_status(name, row.status, 'queued')
  later.enter(name, row)
  return 'queued'
end
