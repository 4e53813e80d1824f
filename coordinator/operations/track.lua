-- track: bring workspaces into the registry as they lie on a disk, or as their own service runs them.
-- What is unknown is entered; what waits stays, unless its host sees it alive. A running one is a fact, not an admission: it holds its slots
-- also beyond a limit, in mode asker, and is track's own: its host's later word moves its lease on, ends it, or queues it again, also after
-- the lease ran out. Other runs stay as they are.
-- An ended one changes by news only (below); what is another host's is left alone and counted.
-- Answers tracked{new, changed, foreign}.
local RECORD = {
  workspace = { is = 'workspace', must = true }, status = 'status', agent = 'agent', task = 'task', repo = 'repo', org = 'repo', branch = 'branch',
  source = 'path', dir = 'path', question = 'text', pr_url = 'line', session = 'line', host = 'host', priority = { is = 'integer', most = 9 },
  runs = 'integer', started_at = 'integer', pid = 'signed', exit_code = 'signed', verdict = 'line', updated_at = 'integer', token = 'integer',
  account = 'account', -- of a run
}
local KEPT = { 'task', 'repo', 'org', 'branch', 'source', 'dir', 'question', 'pr_url', 'session', 'started_at', 'runs', 'verdict', 'exit_code' }
local LEASE = 3600000 -- ms, as an asker's that names none
local NOBODY = 'tracked' -- who holds a run whose host nobody named
local OLD = 'its last word on disk is older than what the registry remembers: it may have ended elsewhere; retry queues it'

-- A new one is pinned to the host whose disk it lies on; a known one stays pinned, or free, as it was.
local function fields_of(one, old, host, status)
  local agent = one.agent or old.agent or call.control.default_agent or 'claude'
  local requires = old.requires
  if not old.status then requires = host or (status ~= 'running' and one.host) or nil end
  local priority = base.number(one.priority or old.priority) or 5
  local new = { agent = agent, org = one.org or old.org, repo = one.repo or old.repo, requires = requires, labels = old.labels,
    priority = priority, front = old.front }
  local same = old.lane and new.agent == old.agent and new.org == old.org and new.repo == old.repo and new.requires == old.requires
    and priority == (base.number(old.priority) or 5)
  local lane = same and old.lane or lease.lane(new, lease.named_keys(old, agent)) -- one made by other rules keeps the lane it has
  local row = { agent = agent, priority = priority, requires = requires, lane = lane }
  for _, field in ipairs(KEPT) do row[field] = one[field] end
  return row
end

local function differs(row, old, status)
  if old.status ~= status then return true end
  for field, value in pairs(row) do
    if tostring(old[field]) ~= tostring(type(value) == 'number' and string.format('%.0f', value) or value) then return true end
  end
  return false
end

local function is_foreign(old, host)
  if not host then return false end
  return (old.requires or host) ~= host or (old.host ~= NOBODY and (old.host or host) ~= host)
end

-- Whether the registry may have forgotten how this run of ours ended: then it is not queued again.
local function is_too_old(one, status)
  return one.token and one.token < call.now - base.settings().history and (status == 'queued' or status == 'running')
end

-- Whether a statement says more of an ended workspace than the registry knows. One without a date and a token is somebody's explicit word.
-- Dates are the host's clock, endings the server's. A host that is ahead could date a file after an ending that came later; the date that was
-- taken before (`updated_at`) and the token speak against it, so only a file never tracked, of a run without a token, could be queued once
-- more. News from a host that is behind is missed while it is dated before the ending, and taken when its file is next written.
local function is_news(one, old, status)
  if is_too_old(one, status) then return false end
  if one.token and one.token <= base.count(old.token) and (status == 'queued' or status == 'running' or status == old.status) then
    return false -- of the very run that the registry saw end, or of one before it
  end
  if not one.updated_at then return true end
  return one.updated_at > base.count(old.ended_at) and one.updated_at ~= base.number(old.updated_at)
end

-- Whether a run is track's own, and the statement its host's, and no older than what began it.
-- One whose end was wanted is not queued again; undated, that could not be told from the next such word, which finds it ended.
local function may_move(one, old, host)
  if not old.tracked or not one.status or old.host ~= (host or one.host or NOBODY) then return false end
  if old.kill and one.status == 'queued' and not one.updated_at then return false end
  local since = base.number(old.updated_at) or base.number(redis.call('ZSCORE', base.key('status', 'running'), one.workspace))
    or base.count(old.token)
  return not one.updated_at or one.updated_at >= since
end

-- Whether a host says that it sees the process that works there: a fact, whatever the registry thinks.
local function lives(one, host) return host and one.status == 'running' and (one.pid or 0) > 0 end

-- Whether a run of track's own waits for a proof of death: nobody told of it before its lease ran out.
local function lapsed(old) return old.tracked == '1' and old.status == 'blocked' and old.verdict == 'lost' end

-- What a statement does: 'foreign', 'renew', 'end', 'enter', or nil when all stays as it is; and the status it speaks of.
local function meaning(one, old, host)
  local status = one.status or old.status or 'queued'
  if not old.status and is_too_old(one, status) then return 'enter', 'blocked' end
  if is_foreign(old, host) then return 'foreign' end
  if old.status == 'queued' then return lives(one, host) and 'enter' or nil, status end
  if old.status == 'running' then
    if not may_move(one, old, host) then return nil end
    return status == 'running' and 'renew' or 'end', status
  end
  local tells = (status ~= 'running' or lives(one, host)) and not is_too_old(one, status)
  local proves = lapsed(old) and tells and may_move(one, old, host)
  if old.status and not proves and not is_news(one, old, status) then return nil end
  return 'enter', status
end

local function check(one, host)
  base.expect('hash', base.key('workspace', one.workspace))
  local old = lease.record(one.workspace) or {}
  local what, status = meaning(one, old, host)
  if what == 'end' then
    for _, to in ipairs { status, 'failed' } do sound.run(one.workspace, old, old.host, to) end
  elseif what == 'enter' then
    local lane = fields_of(one, old, host, status).lane
    if old.status == 'queued' then sound.lane(old.lane) end
    sound.run(one.workspace, { status = old.status, lane = lane }, host or one.host or NOBODY, status)
  end
end

-- A run that somebody else started and says is alive.
local function run(name, one, row, host)
  lease.start(name, row, { host = host or one.host or NOBODY, mode = 'asker', ttl = LEASE, tracked = '1', account = one.account })
  base.write(base.key('workspace', name), { runs = one.runs, started_at = one.started_at, question = one.question,
    pid = one.pid and one.pid > 0 and one.pid or nil, updated_at = one.updated_at or false })
end

local function enter(name, one, old, host, status)
  local row = fields_of(one, old, host, status)
  if not differs(row, old, status) then return nil end
  row.place, row.updated_at = old.place or base.next('place'), one.updated_at or false
  if status == 'blocked' and not old.status and is_too_old(one, one.status or 'queued') then row.question = OLD end
  if lapsed(old) then row.verdict, row.question = one.verdict or false, one.question or false end
  if old.status then
    row.not_before, row.deadline = old.not_before, old.deadline
    if status == 'queued' then later.again(row, {}) end -- as somebody's retry does
  end
  base.write(base.key('workspace', name), row)
  if old.status == 'queued' then later.leave(name, old) end
  row.status, row.attempt, row.runs = old.status, old.attempt, row.runs or old.runs
  local said_at = math.min(one.updated_at or call.now, call.now)
  if status == 'running' then
    run(name, one, row, host)
  elseif status == 'queued' then
    lease.requeue(name, row, { queued_at = said_at, ended_at = false, question = one.question or false, verdict = one.verdict or false,
      exit_code = one.exit_code or false })
  else
    base.write(base.key('workspace', name), { status = status, ended_at = said_at, tracked = '2' })
    if old.status then redis.call('ZREM', base.key('status', old.status), name) end
    redis.call('ZADD', base.key('status', status), history.since(said_at), name)
  end
  return old.status and 'changed' or 'new'
end

-- Its host says that nothing of it runs any more: ended, or waiting again unless somebody wanted its end.
local function finish(name, one, old, host, status)
  local fields = { question = one.question or false, verdict = one.verdict or false, exit_code = one.exit_code or false,
    pr_url = one.pr_url, updated_at = one.updated_at or false }
  if status ~= 'queued' then
    fields.tracked = '2'
    lease.finish(name, old, status, fields)
    base.write(base.key('workspace', name), fields_of(one, old, host, status)) -- what it then is, after it gave back what it was
  elseif old.kill then
    fields.verdict = 'killed'
    lease.finish(name, old, 'failed', fields)
  else
    lease.requeue(name, old, fields)
  end
  return 'changed'
end

local function track(one, host)
  local name = one.workspace
  local old = lease.record(name) or {}
  local what, status = meaning(one, old, host)
  if what == 'enter' then return enter(name, one, old, host, status) end
  if what == 'end' then return finish(name, one, old, host, status) end
  if what == 'renew' then
    redis.call('ZADD', base.key('leases'), call.now + LEASE, name)
    facts.due(call.now + LEASE)
    base.write(base.key('workspace', name), { pid = one.pid and one.pid > 0 and one.pid or nil, updated_at = one.updated_at })
  end
  return what
end

verb.register {
  name = 'track', writes = true,
  question = { workspaces = { is = 'list', must = true, most = 256, of = { is = 'shape', fields = RECORD } }, host = 'host' },
  answer = function(ask)
    local counts, last, said = { new = 0, changed = 0, foreign = 0, renew = 0 }, {}, {}
    for i, one in ipairs(ask.workspaces) do last[one.workspace] = i end
    for i, one in ipairs(ask.workspaces) do -- of several about one workspace the last counts
      if last[one.workspace] == i then said[#said + 1] = one end
    end
    for _, one in ipairs(said) do check(one, ask.host) end
    for _, one in ipairs(said) do
      local what = track(one, ask.host)
      if what then counts[what] = counts[what] + 1 end
    end
    return { outcome = 'tracked', new = counts.new, changed = counts.changed, foreign = counts.foreign }
  end,
}
