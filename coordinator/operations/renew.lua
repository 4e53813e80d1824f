-- renew: a host's beat. Registers the host, moves its leases on, repeats its endings, and learns what it must know.
-- Answers renewed{ttl, beat, kill_grace, lost[], kill[], unseen[grants], epoch}: leases it no longer has, runs someone asked to end, grants it never
-- received; another epoch than before: the registry may have lost what it knew. taken{host, machine, retry_in}: another machine beats under it.
local HELD = { workspace = { is = 'workspace', must = true }, token = { is = 'integer', must = true }, pid = 'integer' }
local ENDING = { workspace = { is = 'workspace', must = true }, token = { is = 'integer', must = true }, status = { is = 'ended', must = true },
  verdict = 'line', exit_code = 'signed', question = 'text', pr_url = 'line', retry_after = { is = 'integer', most = 31536000 },
  session = 'line', cost_usd = 'integer', receipt = 'text' }

local function taken(ask, row)
  if not row.incarnation or row.incarnation == ask.incarnation then return nil end
  if not ask.machine or not row.machine or row.machine == ask.machine then return nil end
  local fresh_for = (base.number(row.beat) or 0) + hosts.silent_after() - call.now
  if fresh_for <= 0 then return nil end
  return { outcome = 'taken', host = ask.host, machine = row.machine, retry_in = fresh_for }
end

local function offer(ask, row)
  return ask.pools and base.encode(base.list(ask.pools)) or row.pools or base.encode({}),
    ask.labels and base.encode(base.list(ask.labels)) or row.labels or base.encode({})
end

-- Matched anew with every start of a worker, so that what was deleted by hand comes back.
local function differs(ask, row)
  local pools, labels = offer(ask, row)
  return pools ~= row.pools or labels ~= row.labels or ask.incarnation ~= row.incarnation
end

local function check(ask, row)
  sound.claimer(ask.host)
  if differs(ask, row) then sound.matching(ask.host) end
  for _, one in ipairs(ask.held or {}) do base.expect('hash', base.key('workspace', one.workspace)) end
  for _, name in ipairs(redis.call('SMEMBERS', base.key('held', ask.host))) do base.expect('hash', base.key('workspace', name)) end
  for _, ending in ipairs(ask.endings or {}) do sound.ending(ending.workspace, ending.status) end
end

local function register(ask, row)
  local pools, labels = offer(ask, row)
  local fields = { incarnation = ask.incarnation, machine = ask.machine, pools = pools, labels = labels,
    slots = ask.slots or base.number(row.slots), mode = ask.mode or row.mode or 'pull', beat = call.now, epoch = call.control.epoch,
    trouble = ask.trouble or false }
  if row.incarnation ~= ask.incarnation then fields.seq, fields.last = false, false end
  base.write(base.key('host', ask.host), fields, row)
  redis.call('ZADD', base.key('hosts'), call.now, ask.host)
  if differs(ask, row) then hosts.match(ask.host, base.parse(pools), base.parse(labels)) end
  hosts.settle()
end

local function move_on(ask, one)
  local row = lease.record(one.workspace)
  if not row or row.status ~= 'running' or row.host ~= ask.host or base.number(row.token) ~= one.token then return nil end
  lease.prolong(one.workspace, row, one.pid)
  return row
end

-- What another machine was granted under this name may run there: only its lease's end hands it on.
local function same_machine(record, machine) return not record.machine or record.machine == machine end

verb.register {
  name = 'renew', writes = true, frees = true,
  question = {
    host = { is = 'host', must = true }, incarnation = { is = 'id', must = true }, machine = 'id',
    pools = { is = 'list', of = 'agent', most = 64 }, labels = { is = 'list', of = 'label', most = 64 },
    slots = { is = 'integer', most = 1024 }, mode = 'mode', trouble = 'line',
    held = { is = 'list', of = { is = 'shape', fields = HELD }, most = 1024 },
    endings = { is = 'list', of = { is = 'shape', fields = ENDING }, most = 256 },
  },
  answer = function(ask)
    base.expect('hash', base.key('host', ask.host))
    local row = base.hash(base.key('host', ask.host))
    local refused = taken(ask, row)
    if refused then return refused end
    check(ask, row)
    register(ask, row)
    for _, ending in ipairs(ask.endings or {}) do
      sound.ending(ending.workspace, ending.status)
      lease.report(ending, lease.record(ending.workspace))
    end
    local answer = { outcome = 'renewed', ttl = base.setting('lease_ttl'), beat = base.setting('beat'),
      kill_grace = base.setting('kill_grace'), lost = {}, kill = {}, unseen = {}, epoch = base.number(call.control.epoch) }
    local held, highest = {}, 0
    for _, one in ipairs(ask.held or {}) do
      highest = math.max(highest, one.token)
      local record = move_on(ask, one)
      if record then
        held[one.workspace] = true
        if record.kill then answer.kill[#answer.kill + 1] = one.workspace end
      else
        answer.lost[#answer.lost + 1] = one.workspace
      end
    end
    if highest > (base.number(redis.call('GET', base.key('fence'))) or 0) then
      redis.call('SET', base.key('fence'), string.format('%.0f', highest))
    end
    if (ask.mode or row.mode) == 'push' then
      sound.holds(offers.wait, ask.host)
      offers.serve(1) -- before `unseen` is read: what it is given now it hears here too
    end
    for _, name in ipairs(redis.call('SMEMBERS', base.key('held', ask.host))) do
      local record = not held[name] and lease.record(name)
      if record and record.status == 'running' and record.mode ~= 'asker' and same_machine(record, ask.machine or row.machine) then
        answer.unseen[#answer.unseen + 1] = lease.grant_of(name, record) -- not renewed for one that may never hold it
      end
    end
    return answer
  end,
}
