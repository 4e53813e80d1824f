-- submit: put a workspace into the queue, or grant it at once to an asker that will run it itself.
-- Answers granted{grant}, queued{place, refusal?}, already{status}, refused{refusal}.
local FIELDS = { 'task', 'repo', 'org', 'branch', 'source', 'dir', 'not_before', 'deadline' }

-- Why a queued workspace does not start at once, or nil when a host with room is on its way.
local function why_waiting(name, row)
  local _, keys = queue.parts(row.lane)
  local no = later.early(name, row) or gates.refuses('*') or gates.judge(keys)
  return gates.with_holders(no or rooms.keep(rooms.of((queue.parts(row.lane)))))
end

local function record_of(ask, old)
  local agent = ask.agent or call.control.default_agent or 'claude'
  local row = { agent = agent, priority = ask.priority or 5, runs = old.runs or 0, attempt = 0, queued_at = call.now,
    requires = ask.host, labels = ask.labels and #ask.labels > 0 and base.encode(ask.labels) or nil, ran_on = old.ran_on,
    past = old.token or old.past, asked = ask.id }
  for _, field in ipairs(FIELDS) do row[field] = ask[field] end
  row.session = queue.pool(agent) == queue.pool(old.agent or '') and old.session or nil
  row.lane = lease.lane(row, ask.keys)
  return row
end

-- Gives it its place and replaces the record: what an earlier run left behind in it does not speak for this one.
local function store(name, row, old)
  row.place = base.next('place')
  local fields = {}
  for field in pairs(old) do fields[field] = false end
  for field, value in pairs(row) do fields[field] = value end
  base.write(base.key('workspace', name), fields)
end

local function grant_to_asker(ask, row, old)
  store(ask.workspace, row, old)
  row.status = old.status
  local how = { host = ask.asker, mode = 'asker', ttl = ask.ttl or 3600000 }
  local grant = lease.start(ask.workspace, row, how)
  return { outcome = 'granted', grant = grant }
end

-- What stops the asker, in the order of admission: its time, everything, then its own freeze and slots, then the lane's keys.
local function refuses_asker(ask, row)
  local no = later.early(ask.workspace, row) or gates.refuses('*')
  if no then return no end
  if ask.host and ask.host ~= ask.asker then
    return { key = queue.parts(row.lane), reason = 'no_host', used = 0, limit = 0,
      text = 'it must run on ' .. ask.host .. ', not on ' .. ask.asker }
  end
  local cold = freezes.refuses(ask.asker)
  if cold then return cold end
  local host = redis.call('HMGET', base.key('host', ask.asker), 'slots', 'quiet')
  local slots, quiet = base.number(host[1]), host[2]
  local held = redis.call('SCARD', base.key('held', ask.asker))
  if quiet or (slots and held >= slots) then
    return { key = ask.asker, reason = 'hosts_full', used = held, limit = slots or held,
      text = 'host ' .. ask.asker .. (quiet and ' is quiet' or ' is full: ' .. held .. '/' .. slots) }
  end
  return gates.judge(lease.keys(row))
end

verb.register {
  name = 'submit', writes = true,
  question = {
    workspace = { is = 'workspace', must = true }, agent = 'agent', task = 'task', repo = 'repo', org = 'repo', branch = 'branch',
    priority = { is = 'integer', most = 9 }, source = 'path', dir = 'path', host = 'host',
    labels = { is = 'list', of = 'label', most = 8 }, keys = { is = 'list', of = 'key', most = 8 },
    not_before = 'integer', deadline = 'integer',
    asker = 'host', ttl = { is = 'integer', least = 1 }, ['else'] = 'otherwise', again = 'boolean', id = 'id',
  },
  answer = function(ask)
    base.expect('hash', base.key('workspace', ask.workspace))
    local old = lease.record(ask.workspace) or {}
    local same = ask.id and old.asked == ask.id -- this very question again: its answer was lost
    if same and old.status == 'running' and old.mode == 'asker' and old.host == ask.asker then
      return { outcome = 'granted', grant = lease.grant_of(ask.workspace, old) }
    end
    if old.status == 'queued' or old.status == 'running' or (old.status and (same or not ask.again)) then
      return { outcome = 'already', status = old.status, host = old.host }
    end
    local wrong = later.wrong(ask)
    if wrong then return wrong end
    if old.status then base.expect('zset', base.key('status', old.status)) end
    local row = record_of(ask, old)
    local strange = accounts.wrong(queue.pool(row.agent), ask.keys)
    if strange then return strange end
    sound.run(ask.workspace, row, ask.asker, 'queued')
    if ask.asker then
      base.expect('hash', base.key('host', ask.asker))
      local no = refuses_asker(ask, row)
      if not no then return grant_to_asker(ask, row, old) end
      if ask['else'] == 'refuse' then return { outcome = 'refused', refusal = gates.with_holders(no) } end
    end
    verb.tidy(8)
    store(ask.workspace, row, old)
    row.status = old.status
    lease.requeue(ask.workspace, row, {})
    local fine, refusal = sound.holds(why_waiting, ask.workspace, row) -- it is queued, whatever may be read of the hosts
    local before = redis.call('ZRANK', base.key('lane', row.lane), ask.workspace)
    return { outcome = 'queued', place = before and before + 1 or 0, refusal = fine and refusal or nil }
  end,
}
