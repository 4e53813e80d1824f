-- Runs: how a workspace becomes running, how it ends, how it comes back to its place.
-- The fields of a record that a grant carries.
local GRANTED = { 'agent', 'task', 'repo', 'org', 'branch', 'source', 'dir', 'session', 'answer', 'account' }

function lease.record(name)
  local row = base.hash(base.key('workspace', name))
  if next(row) == nil then return nil end
  return row
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

-- The limit keys that were asked for beyond those of its agent, repo, org and labels.
function lease.named_keys(row)
  local more, own = {}, {}
  if not row.lane then return more end
  for _, limit_key in ipairs(select(2, queue.keys(row.agent, row.org, row.repo, base.parse(row.labels)))) do own[limit_key] = true end
  for _, limit_key in ipairs(lease.keys(row)) do
    if not own[limit_key] then more[#more + 1] = limit_key end
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
  local ends = deadline or base.number(redis.call('ZSCORE', base.key('leases'), name)) or 0
  local grant = { workspace = name, token = base.number(row.token), ttl = math.max(ends - call.now, 0), attempt = base.number(row.attempt) }
  for _, field in ipairs(GRANTED) do grant[field] = row[field] end
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
-- `how` is {host, mode, ttl, machine?, asked?, tracked?, token?, charged?, account?}: what a disk tells runs under the account that
-- it names, all else under the one that has most room.
function lease.start(name, row, how)
  local account = how.account or not how.tracked and accounts.pick(lease.keys(row)) or nil
  local token = how.token or base.next('fence')
  local keys = lease.holds { lane = row.lane, account = account }
  occupy(name, '*')
  for _, limit_key in ipairs(keys) do occupy(name, limit_key) end
  local deadline = base.until_after(how.ttl)
  redis.call('ZADD', base.key('leases'), deadline, name)
  redis.call('SADD', base.key('held', how.host), name)
  local fresh = {
    status = 'running', host = how.host, mode = how.mode, machine = how.machine or false, ttl = how.ttl, token = token, started_at = call.now,
    attempt = (base.number(row.attempt) or 0) + 1, runs = (base.number(row.runs) or 0) + 1, asked = how.asked or false,
    tracked = how.tracked or false, charged = how.charged or false, account = account or false,
    pid = false, question = false, verdict = false, exit_code = false, ended_at = false, kill = false, confirmed = false,
    pr_url = row.pr_url or false, receipt = false, ran_on = how.mode ~= 'asker' and how.host, -- an asker's disk is nobody else's
  }
  fresh.granted = facts.tell('AgentStarted',
    { agent = row.agent, repo = row.repo, workspace = name, host = how.host, token = token, attempt = fresh.attempt })
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
local function release(name, row)
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
    release(name, row)
    fields.answer = false -- it was told to this run
  elseif row.status == 'queued' then
    later.leave(name, row)
  end
  if row.front then -- that was for once
    fields.front, fields.lane = false, lease.lane({ agent = row.agent, org = row.org, repo = row.repo, requires = row.requires,
      labels = row.labels, priority = row.priority }, lease.named_keys(row))
  end
  fields.status, fields.ended_at, fields.pid, fields.kill = status, call.now, false, false
  base.write(base.key('workspace', name), fields, row)
  move_status(name, row.status, status)
  facts.notify(status, name, row, seq)
  facts.ended()
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
  if row.status == 'running' then release(name, row) end
  fields.status, fields.host, fields.pid, fields.kill, fields.mode, fields.tracked = 'queued', false, false, false, false, false
  fields.account = false
  base.write(base.key('workspace', name), fields)
  move_status(name, row.status, 'queued')
  later.enter(name, row)
  return 'queued'
end

-- Runs that fail within a minute, three in a row, mean that a provider refuses the whole pool: it rests for half an hour. Where the
-- pool has accounts, each has a row of its own, and rests alone.
-- The count goes on when the rest is over, so the next such failure is enough; any other ending of its own ends the row.
local QUICK, IN_A_ROW, REST = 60000, 3, 1800000
local OTHERS_DID_IT = { killed = true, stopped = true, lost = true }
local LIMITED = { limited = true, throttled = true } -- of something else, where no time was named
-- Nobody saw the agent work: no success, but three in a row stop a host that can start nothing from failing all that waits.
local UNSEEN = { start_failed = true, guard_died = true }

-- A pool, or an account, rests for so long, unless it rests longer already. Of many runs that met one limit at once, the first tells it:
-- no other moves the gate by as much as a second.
local function rest(pool, ms, reason, by)
  facts.sound()
  local was, ends = gates.shut_until(pool), call.now + ms
  if ends <= was then return end
  latch.shut(pool, ends, reason, by)
  if ends - was >= 1000 then facts.limited(pool, ms) end
end

local function count_failure(pool, row, ask)
  if row.kill or OTHERS_DID_IT[ask.verdict or ''] then return end
  local quick = ask.status == 'failed' and call.now - (base.number(row.started_at) or 0) < QUICK
  if quick or call.rare ~= false then facts.sound() end
  if not quick then
    if call.rare ~= false and not UNSEEN[ask.verdict or ''] then redis.call('HDEL', base.key('fail_count'), pool) end
    return
  end
  local count = (base.number(redis.call('HGET', base.key('fail_count'), pool)) or 0) + 1
  base.write(base.key('fail_count'), { [pool] = count })
  call.rare = nil
  if count < IN_A_ROW then return end
  rest(pool, REST, string.format('%.0f', count) .. ' failures in a row within a minute of starting', row.host)
end

-- A report that changes nothing becomes a fact. A holder's own word does not: its answer tells it.
local function refuse(ask, outcome, row, reason)
  if ask.as_of or not ask.token then facts.tell('ReportRefused', { workspace = ask.workspace, reason = reason }) end
  return outcome, row and row.status
end

-- Whether a run that ended so goes back to its place: it met a limit, and nobody wanted its end.
function lease.goes_back(ask, row) return (ask.retry_after or 0) > 0 and ask.status == 'failed' and row.kill == nil end

-- How an ending is recorded; shared by `complete` and by the endings a beat repeats.
-- Answers 'completed', 'already', 'stale' or 'unknown', and the status the workspace then has.
function lease.report(ask, row)
  if not row then return refuse(ask, 'unknown', nil, 'there is no such workspace') end
  local token = base.number(row.token) or 0
  if ask.token and ask.token ~= token then return refuse(ask, 'stale', row, 'its token is not that of this run') end
  if row.status ~= 'running' then return 'already', row.status end
  if not ask.token then
    local late = ask.as_of and row.granted and facts.later(row.granted, ask.as_of)
    if late then return refuse(ask, 'stale', row, 'the report is older than the run') end
    if row.mode == 'pull' then return refuse(ask, 'stale', row, 'a worker holds this run: only its token ends it') end
  end
  local again = lease.goes_back(ask, row)
  local fields = { verdict = ask.verdict or false, exit_code = ask.exit_code or false, question = ask.question or false,
    pr_url = ask.pr_url, session = ask.session, receipt = ask.receipt or false }
  if ask.cost_usd then fields.cost_usd = (base.number(row.cost_usd) or 0) + ask.cost_usd end
  local pool = accounts.limited(row, queue.pool(row.agent))
  if (ask.retry_after or 0) > 0 then
    rest(pool, ask.retry_after * 1000, 'the provider named a time', row.host)
  else
    count_failure(pool, row, ask)
    local verdict = ask.verdict or ''
    local by_itself = not row.kill and not OTHERS_DID_IT[verdict] and not LIMITED[verdict] and not UNSEEN[verdict]
    call.own_ending = by_itself and ask.workspace or nil
  end
  if again then
    fields.attempt = math.max((base.number(row.attempt) or 1) - 1, 0)
    return 'completed', lease.requeue(ask.workspace, row, fields)
  end
  lease.finish(ask.workspace, row, ask.status, fields)
  return 'completed', ask.status
end
