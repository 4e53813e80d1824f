-- restore: a host tells of the runs that it holds, and of those that have ended there lately, in an epoch in which it has not yet. What the
-- registry has forgotten is known again: the server came back empty, or without its last words. It is a fact, not an admission: such a
-- run holds its slots also beyond a limit, under its own token, with a lease that begins anew. An ending is counted once.
-- Answers restored{count, lost[]}: how many were forgotten, and which runs are not the host's any more. unregistered: renew first.
local RUN = { workspace = { is = 'workspace', must = true }, token = { is = 'integer', must = true }, agent = { is = 'agent', must = true },
  lane = 'path', task = 'task', repo = 'repo', org = 'repo', branch = 'branch', source = 'path', dir = 'path', session = 'line',
  account = 'account', attempt = 'integer', started_at = 'integer', pid = 'integer', ending = { is = 'shape', fields = ending.FIELDS } }

-- The lane it was granted from, or where that cannot be one, that of its agent and repo.
local function lane_of(one)
  local pool = queue.pool(one.agent)
  local route, keys, band = queue.parts(one.lane or '')
  local fine = keys[1] == pool and route:match('^[^@+]*') == pool and band < 20
  for _, limit_key in ipairs(keys) do fine = fine and question.is_key(limit_key) end
  return fine and one.lane or lease.lane { agent = one.agent, org = one.org, repo = one.repo }
end

local function token_of(row) return row and base.number(row.token) or 0 end

local function is_forgotten(one, row) return token_of(row) < one.token end

local function check(ask, one)
  local name = one.workspace
  base.expect('hash', base.key('workspace', name))
  local row = lease.record(name)
  if is_forgotten(one, row) then
    if row and row.status == 'running' then sound.run(name, row, row.host, 'running') end
    if row and row.status == 'queued' then sound.lane(row.lane) end
    sound.run(name, { status = row and row.status, lane = lane_of(one) }, ask.host, 'running')
    row = { status = 'running', lane = lane_of(one), host = ask.host, account = one.account }
  end
  if one.ending and row.status == 'running' then sound.run(name, row, row.host, one.ending.status) end
end

-- What was known of it is of an earlier run, which has ended, or of one that waited.
local function take(ask, one, old)
  local name, lane = one.workspace, lane_of(one)
  if old.status == 'running' then
    lease.release(name, old)
  elseif old.status == 'queued' then
    later.leave(name, old)
  end
  local route, _, band = queue.parts(lane)
  local labels = base.split(route:match('%+(.*)$') or '', '+')
  local attempt = math.max((one.attempt or 1) - 1, 0)
  local row = { agent = one.agent, task = one.task, repo = one.repo, org = one.org, branch = one.branch, source = one.source, dir = one.dir,
    session = one.session, lane = lane, requires = route:match('^[^+]*@([^+]+)'), labels = labels[1] and base.encode(labels),
    priority = math.floor(band / 2), front = band % 2 == 1 and '1' or nil, place = old.place or base.next('place'),
    queued_at = old.queued_at or one.started_at, attempt = attempt, runs = base.number(old.runs) or attempt }
  base.write(base.key('workspace', name), row)
  row.status, row.not_before, row.deadline = old.status, old.not_before, old.deadline
  lease.start(name, row, { host = ask.host, mode = 'pull', machine = ask.machine, ttl = base.setting('lease_ttl'), token = one.token,
    account = one.account, restored = true })
  base.write(base.key('workspace', name), { started_at = one.started_at, pid = one.pid })
end

verb.register {
  name = 'restore', writes = true, frees = true,
  question = { host = { is = 'host', must = true }, incarnation = { is = 'id', must = true }, machine = 'id',
    runs = { is = 'list', must = true, most = 16, of = { is = 'shape', fields = RUN } } },
  answer = function(ask)
    sound.claimer(ask.host)
    if redis.call('HGET', base.key('host', ask.host), 'incarnation') ~= ask.incarnation then return { outcome = 'unregistered' } end
    for _, one in ipairs(ask.runs) do check(ask, one) end
    lease.shown(ask.runs)
    local answer = { outcome = 'restored', count = 0, lost = {} }
    for _, one in ipairs(ask.runs) do
      local row = lease.record(one.workspace)
      if is_forgotten(one, row) then
        take(ask, one, row or {})
        row, answer.count = lease.record(one.workspace), answer.count + 1
      end
      if one.ending then
        one.ending.workspace, one.ending.token = one.workspace, one.token
        ending.report(one.ending, row)
      elseif row.status ~= 'running' or row.host ~= ask.host or token_of(row) ~= one.token then
        answer.lost[#answer.lost + 1] = one.workspace
      end
    end
    return answer
  end,
}
