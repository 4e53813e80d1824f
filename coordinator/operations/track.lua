-- track: bring workspaces into the registry as they lie on a disk. What the registry knows to wait or run stays as it is.
-- A queued one is really queued; a running one the registry does not know has no proof of life or death: it becomes blocked.
-- Answers tracked{new, changed}.
local RECORD = {
  workspace = { is = 'workspace', must = true }, status = 'status', agent = 'agent', task = 'task', repo = 'repo', org = 'repo', branch = 'branch',
  source = 'path', dir = 'path', question = 'text', pr_url = 'line', session = 'line', host = 'host', priority = { is = 'integer', most = 9 },
  runs = 'integer', started_at = 'integer', pid = 'signed', exit_code = 'signed', verdict = 'line',
}
local KEPT = { 'task', 'repo', 'org', 'branch', 'source', 'dir', 'question', 'pr_url', 'session', 'started_at', 'runs', 'verdict', 'exit_code' }

local function fields_of(one, old, host)
  local agent = one.agent or old.agent or call.control.default_agent or 'claude'
  local requires = host or one.host or old.requires
  local lane = lease.lane({ agent = agent, org = one.org or old.org, repo = one.repo or old.repo, requires = requires, labels = old.labels },
    lease.named_keys(old))
  local row = { agent = agent, priority = one.priority or old.priority or 5, requires = requires, lane = lane }
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

local function check(one, host)
  base.expect('hash', base.key('workspace', one.workspace))
  local old = lease.record(one.workspace) or {}
  if old.status == 'queued' or old.status == 'running' then return end
  local status = one.status or old.status or 'queued'
  local lane = fields_of(one, old, host).lane
  sound.run(one.workspace, { status = old.status, lane = lane }, nil, status == 'running' and 'blocked' or status)
end

local function track(one, host)
  local old = lease.record(one.workspace) or {}
  if old.status == 'queued' or old.status == 'running' then return nil end
  local status = one.status or old.status or 'queued'
  local row = fields_of(one, old, host)
  if status == 'running' then
    status = 'blocked'
    row.question = 'no proof of death: it was running when it was tracked; retry when the agent is certainly dead'
  end
  if not differs(row, old, status) then return nil end
  row.place = old.place or base.next('place')
  base.write(base.key('workspace', one.workspace), row)
  row.status = old.status
  if status == 'queued' then
    lease.requeue(one.workspace, row, {})
  else
    base.write(base.key('workspace', one.workspace), { status = status })
    if old.status then redis.call('ZREM', base.key('status', old.status), one.workspace) end
    redis.call('ZADD', base.key('status', status), call.now, one.workspace)
  end
  return old.status and 'changed' or 'new'
end

verb.register {
  name = 'track', writes = true,
  question = { workspaces = { is = 'list', must = true, most = 256, of = { is = 'shape', fields = RECORD } }, host = 'host' },
  answer = function(ask)
    local counts = { new = 0, changed = 0 }
    for _, one in ipairs(ask.workspaces) do check(one, ask.host) end
    for _, one in ipairs(ask.workspaces) do
      local what = track(one, ask.host)
      if what then counts[what] = counts[what] + 1 end
    end
    return { outcome = 'tracked', new = counts.new, changed = counts.changed }
  end,
}
