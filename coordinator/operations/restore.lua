-- restore: a host tells of the runs that it holds, and of those that have ended there lately, in an epoch in which it has not yet. What the
-- registry has forgotten is known again: the server came back empty, or without its last words. It is a fact, not an admission: such a
-- run holds its slots also beyond a limit, under its own token, with a lease that begins anew; but where its agent stands still and others
-- have its slots by now, it is lost, as it would have been to a server that knew it. An ending is counted once. Where the
-- host was not known either, there may be others: the fleet settles, for as long as a lease lasts. A namespace that has no configuration
-- yet, or one that was made and thawed by the environment, and which nobody has touched since, is then frozen: it may have forgotten that
-- it was.
-- Answers restored{count, lost[], ttl}: how many were forgotten, and which runs are not the host's any more; the leases of the others last
-- ttl from now. unregistered: renew first.
local RUN = { workspace = { is = 'workspace', must = true }, token = { is = 'integer', must = true }, agent = { is = 'agent', must = true },
  lane = 'path', task = 'task', repo = 'repo', org = 'repo', branch = 'branch', source = 'path', dir = 'path', session = 'line',
  account = 'account', attempt = 'integer', started_at = 'integer', pid = 'integer', stilled = 'boolean',
  ending = { is = 'shape', fields = ending.FIELDS } }

-- What a lane says beyond agent, org and repo: host, labels, front and priority; and its limit keys. Nothing where no submit could say it.
local function wishes(one)
  local route, keys, band = queue.parts(one.lane or '')
  local pool, host, labels = hosts.parts(route or '')
  local fine = pool == queue.pool(one.agent) and keys[1] == pool and band < 20 and #labels <= 8 and #keys <= 20
  fine = fine and (host == '' or question.is_host(host))
  for _, label in ipairs(labels) do fine = fine and question.is_label(label) end
  for _, limit_key in ipairs(keys) do fine = fine and question.is_key(limit_key) end
  if not fine then return {} end
  return { requires = host ~= '' and host or nil, labels = labels[1] and base.encode(labels), priority = math.floor(band / 2),
    front = band % 2 == 1 and '1' or nil }, keys
end

-- The lane it was granted from, as a submit makes it; and what that wishes.
local function lane_of(one)
  local wish, keys = wishes(one)
  wish.agent, wish.org, wish.repo = one.agent, one.org, one.repo
  return lease.lane(wish, keys), wish
end

-- Where what has ended is forgotten before its host does not tell it any more, the fence says what was once known.
local function has_been(one, row)
  return not row and one.ending and one.token <= call.fence and base.setting('history') < base.setting('lease_ttl')
end

local function is_forgotten(one, row) return lease.is_newer(row, one.token) and not has_been(one, row) end

local function check(ask, one)
  local name = one.workspace
  base.expect('hash', base.key('workspace', name))
  local row = lease.record(name)
  if is_forgotten(one, row) then
    if row and row.status == 'running' then sound.run(name, row, row.host, 'running') end
    if row and row.status == 'queued' then sound.lane(row.lane) end
    local account = accounts.held { lane = lane_of(one), account = one.account }
    if account then base.expect('set', base.key('slots', account)) end
    sound.run(name, { status = row and row.status, lane = lane_of(one) }, ask.host, 'running')
    row = { status = 'running', lane = lane_of(one), host = ask.host, account = one.account }
    if one.stilled then base.expect('zset', base.key('status', 'failed')) end
  end
  if one.ending and row and row.status == 'running' then sound.run(name, row, row.host, one.ending.status) end
end

-- What was known of it is of an earlier run, which has ended, or of one that waited.
local function take(ask, one, old)
  local name = one.workspace
  if old.status == 'running' then
    lease.release(name, old)
  elseif old.status == 'queued' then
    later.leave(name, old)
  end
  local lane, wish = lane_of(one)
  local attempt = math.max((one.attempt or 1) - 1, 0)
  base.write(base.key('workspace', name), { agent = one.agent, task = one.task, repo = one.repo or false, org = one.org or false,
    branch = one.branch or false, source = one.source or false, dir = one.dir or false, session = one.session, lane = lane,
    requires = wish.requires or false, pinned = false, labels = wish.labels or false, priority = wish.priority or 5,
    front = wish.front or false, place = old.place or base.next('place'), queued_at = old.queued_at or one.started_at, past = false,
    stilled = false })
  local row = lease.record(name)
  row.status, row.attempt, row.runs = old.status, attempt, math.max(base.count(old.runs), attempt)
  local mode = hosts.mode(ask.host) == 'push' and 'push' or 'pull' -- a push host's are confirmed: it says that they run
  lease.start(name, row, { host = ask.host, mode = mode, machine = ask.machine, ttl = base.setting('lease_ttl'), token = one.token,
    account = one.account, restored = true })
  base.write(base.key('workspace', name), { started_at = one.started_at, pid = one.pid, confirmed = mode == 'push' and '1' or nil })
end

-- How it ended. When it began is not known where nobody says it: then it was no quick failure.
local function report(one, row, was_forgotten)
  if was_forgotten and not one.started_at then row.started_at = nil end
  one.ending.workspace, one.ending.token = one.workspace, one.token
  ending.report(one.ending, row)
end

verb.register {
  name = 'restore', writes = true, frees = true,
  question = { host = { is = 'host', must = true }, incarnation = { is = 'id', must = true }, machine = 'id',
    runs = { is = 'list', must = true, most = 16, of = { is = 'shape', fields = RUN } } },
  answer = function(ask)
    sound.claimer(ask.host)
    local host = hosts.record(ask.host)
    if host.incarnation ~= ask.incarnation then return { outcome = 'unregistered' } end
    call.fence = base.count(redis.call('GET', base.key('fence')))
    if host.fresh then sound.key('*') end
    for _, one in ipairs(ask.runs) do check(ask, one) end
    lease.shown(ask.runs)
    local stood = {}
    local answer = { outcome = 'restored', count = 0, lost = {}, ttl = base.setting('lease_ttl') }
    for _, one in ipairs(ask.runs) do
      local row = lease.record(one.workspace)
      local was_forgotten = is_forgotten(one, row)
      if was_forgotten then
        take(ask, one, row or {})
        row, answer.count = lease.record(one.workspace), answer.count + 1
      end
      if one.ending then
        report(one, row, was_forgotten)
      elseif lease.is_held(row, ask.host, one.token) then
        if not was_forgotten then lease.prolong(one.workspace, row, one.pid) end
        if one.stilled and row.mode == 'pull' then stood[#stood + 1] = one end
      else
        answer.lost[#answer.lost + 1] = one.workspace
      end
    end
    if answer.count > 0 and host.fresh and host.mode ~= 'push' then latch.forgotten(ask.host) end
    for _, one in ipairs(stood) do -- after all others have their slots: then asking twice judges alike
      local row = lease.record(one.workspace)
      if lease.is_held(row, ask.host, one.token) and losing.judge(one.workspace, row) then
        answer.lost[#answer.lost + 1] = one.workspace
      end
    end
    return answer
  end,
}
