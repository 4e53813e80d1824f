-- renew: a host's beat. Registers the host, moves its leases on, repeats its endings, and learns what it must know.
-- Answers renewed{ttl, beat, kill_grace, lost[], kill[], unseen[grants], unknown[], epoch, still?}: leases it no longer has, runs that
-- someone asked to end, grants it never received, runs whose grant the registry has forgotten; with `still` what stands still there has to
-- go on doing so. taken{host, machine, retry_in}: another machine beats under it.
-- A host that can `restore` says in which epoch (0: none) it last told all that it holds: another one settles only when it has told it again.
local HELD = { workspace = { is = 'workspace', must = true }, token = { is = 'integer', must = true }, pid = 'integer' }

local function taken(ask, row)
  if not row.incarnation or row.incarnation == ask.incarnation then return nil end
  if not ask.machine or not row.machine or row.machine == ask.machine then return nil end
  local fresh_for = base.count(row.beat) + hosts.silent_after() - call.now
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
  for _, one in ipairs(ask.endings or {}) do sound.ending(one.workspace, one.status) end
end

-- Whether this namespace has never heard all that the host holds: until then what it tells may show that more is forgotten.
local function is_fresh(ask, row)
  return (row.fresh or not row.incarnation) and ask.epoch and ask.epoch ~= base.number(call.control.epoch)
end

local function register(ask, row)
  local pools, labels = offer(ask, row)
  local fields = { incarnation = ask.incarnation, machine = ask.machine, pools = pools, labels = labels,
    slots = ask.slots or base.number(row.slots), mode = ask.mode or row.mode or 'pull', beat = call.now,
    epoch = ask.epoch or call.control.epoch, trouble = ask.trouble or false,
    fresh = is_fresh(ask, row) and '1' or false }
  if row.incarnation ~= ask.incarnation then fields.seq, fields.last = false, false end
  base.write(base.key('host', ask.host), fields, row)
  redis.call('ZADD', base.key('hosts'), call.now, ask.host)
  if differs(ask, row) then hosts.match(ask.host, base.parse(pools), base.parse(labels)) end
  hosts.settle()
end

-- A record that somebody damaged does not keep the host's other leases from being renewed; nobody else is granted its workspace.
local function is_damaged(name) return not sound.holds(base.expect, 'hash', base.key('workspace', name)) end

-- Whether the registry has forgotten that it granted this run: what it knows of the workspace, if anything, is older.
local function is_unknown(ask, one, row)
  return ask.epoch and lease.is_newer(row, one.token)
end

local function move_on(ask, one, answer)
  if is_damaged(one.workspace) then return true end
  local row = lease.record(one.workspace)
  if lease.is_held(row, ask.host, one.token) then
    if row.stilled and losing.judge(one.workspace, row) then
      answer.lost[#answer.lost + 1] = one.workspace
      return true
    end
    answer.still = answer.still or row.stilled and true or nil
    lease.prolong(one.workspace, row, one.pid)
    if row.kill then answer.kill[#answer.kill + 1] = one.workspace end
    return true
  end
  local list = is_unknown(ask, one, row) and answer.unknown or answer.lost
  list[#list + 1] = one.workspace
  return false
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
    endings = { is = 'list', of = { is = 'shape', fields = ending.FIELDS }, most = 256 }, epoch = 'integer',
  },
  answer = function(ask)
    base.expect('hash', base.key('host', ask.host))
    local row = base.hash(base.key('host', ask.host))
    local refused = taken(ask, row)
    if refused then return refused end
    check(ask, row)
    register(ask, row)
    for _, one in ipairs(ask.endings or {}) do
      sound.ending(one.workspace, one.status)
      ending.report(one, lease.record(one.workspace))
    end
    local answer = { outcome = 'renewed', ttl = base.setting('lease_ttl'), beat = base.setting('beat'),
      kill_grace = base.setting('kill_grace'), lost = {}, kill = {}, unseen = {}, unknown = {}, epoch = base.number(call.control.epoch),
      still = losing.too_early() or nil }
    local held = {}
    for _, one in ipairs(ask.held or {}) do held[one.workspace] = move_on(ask, one, answer) end
    lease.shown(ask.held)
    if (ask.mode or row.mode) == 'push' then
      sound.holds(offers.wait, ask.host)
      offers.serve(1) -- before `unseen` is read: what it is given now it hears here too
    end
    for _, name in ipairs(redis.call('SMEMBERS', base.key('held', ask.host))) do
      local record = not held[name] and not is_damaged(name) and lease.record(name)
      if record and record.status == 'running' and record.mode ~= 'asker' and same_machine(record, ask.machine or row.machine) then
        answer.unseen[#answer.unseen + 1] = lease.grant_of(name, record) -- not renewed for one that may never hold it
      end
    end
    return answer
  end,
}
