-- One drain for one host: its best waiting workspaces, until it is full, nothing fits, or the call has done enough.
local MOST_EXAMINED = 64
local MOST_GRANTED = 16 -- a call takes some milliseconds for these

-- What was granted under this seq before, as long as it still holds.
local function remembered(row)
  local grants = {}
  for _, pair in ipairs(base.parse(row.last) or {}) do
    local record = lease.record(pair[1])
    if record and record.status == 'running' and base.number(record.token) == pair[2] then
      grants[#grants + 1] = lease.grant_of(pair[1], record)
    end
  end
  return grants
end

local function refused(key, reason, text, used, limit)
  return { grants = {}, refusal = { key = key, reason = reason, text = text, used = used, limit = limit } }
end

-- The best band first; within it the routes take turns.
local function best_of(tops)
  local band, routes = -1, {}
  for route, top in pairs(tops) do
    if top.band > band then band, routes = top.band, {} end
    if top.band == band then routes[#routes + 1] = route end
  end
  return routes[2] and fair.turn(routes) or routes[1]
end

-- Grants the head of a lane; nil when the head is no longer what the lane says (its record was changed by hand).
local function grant_head(host, row, lane, where, name, behind)
  local record = lease.record(name)
  if not record or record.status ~= 'queued' or record.lane ~= lane then
    queue.remove(name, lane)
    if not record then -- it does not wait any more either, and may have been the last
      redis.call('ZREM', base.key('status', 'queued'), name)
      call.ended = true
    end
    return nil
  end
  if later.missed(record) then
    base.expect('zset', base.key('status', 'failed'))
    later.give_up(name, record, {})
    return nil
  end
  local mode = row.mode or 'pull'
  local ttl = mode == 'push' and base.setting('spawn_timeout') or base.setting('lease_ttl')
  local account = accounts.pick(lease.keys(record))
  pace.look(queue.pool(record.agent))
  local token = base.next('fence') -- before all that is written: it stops at a damaged key, and changes nothing else
  local charged = queue.take(name, lane, where, behind, token)
  local how = { host = host, mode = mode, machine = row.machine, ttl = ttl, token = token, charged = charged, account = account }
  local grant = lease.start(name, record, how)
  if mode == 'push' then
    facts.tell('SpawnQueued', { workspace = name, agent = record.agent, task = record.task, repo = record.repo, org = record.org,
      host = host, token = grant.token, ttl = ttl, session = record.session, answer = record.answer, account = record.account })
  end
  return { grant = grant, pair = { name, grant.token } }
end

-- The best entry of a route, looked at once: {grant, pair}, or nil when nothing starts from it.
local function try(host, row, route, top)
  local lane, where, name, behind = queue.examine(route, top.entry, top.score)
  return lane and grant_head(host, row, lane, where, name, behind)
end

-- Looks at entries in order until `want` are granted. Answers {grants, refusal?, more?} and what to remember; `rest` is told
-- of the routes that are left: 'ready' where something is.
local function look(host, row, want, rest)
  local tops, grants, pairs_given, examined = {}, {}, {}, 0
  local refusal, more
  for _, route in ipairs(hosts.serves(host)) do tops[route] = queue.top(route) end
  while #grants < want do
    local route = best_of(tops)
    if not route then break end
    refusal = gates.refuses('*')
    if refusal then break end
    if examined == MOST_EXAMINED or #grants == MOST_GRANTED then
      more = true
      break
    end
    examined = examined + 1
    local fine, given = sound.holds(try, host, row, route, tops[route])
    if not fine then -- the next call says which key is damaged; this one says what it granted
      if #grants == 0 then error(given, 0) end
      more = true
      break
    end
    if given then
      grants[#grants + 1], pairs_given[#pairs_given + 1] = given.grant, given.pair
    end
    tops[route] = #grants < want and queue.top(route) or nil
    if #grants == want then rest[route] = true end -- who knows what it holds now
  end
  for route in pairs(tops) do rest[route] = 'ready' end
  return { grants = grants, refusal = gates.with_holders(refusal), more = more }, pairs_given
end

local function remember(host, row, ask, given, more)
  local fields = { seq = ask.seq, last = #given > 0 and base.encode(given) or false, more = more and '1' or false, poked = false }
  base.write(base.key('host', host), fields, row)
end

-- Hands a host what fits it now, at most `count`; one that has room for more waits for it.
function drain.give(host, row, count)
  local slots, held = base.count(row.slots), redis.call('SCARD', base.key('held', host))
  local cold = freezes.refuses(host)
  local free = (row.quiet or cold) and 0 or math.max(slots - held, 0)
  local want = math.min(count or free, free)
  local answer, given
  local rest = {} -- routes that may hold more than this host takes
  if free == 0 then
    local text = row.quiet and 'host ' .. host .. ' is quiet' or 'host ' .. host .. ' is full: ' .. held .. '/' .. slots
    answer, given = refused(host, 'hosts_full', text, held, slots), {}
    answer.refusal = cold or answer.refusal
    for _, route in ipairs(hosts.serves(host)) do rest[route] = true end
  else
    answer, given = look(host, row, want, rest)
  end
  local pushed, was_poked = row.mode == 'push', (row.poked or row.mode == 'push') and redis.call('ZREM', base.key('poked'), host) == 1
  if was_poked or pushed or answer.more then -- a worker that came unasked leaves what it found to whom it was told
    for route, what in pairs(rest) do call.touched[route] = call.touched[route] or what end
  end
  if (pushed and free or want) > #answer.grants and not answer.more then
    hosts.wait(host)
  elseif row.waiting then
    hosts.leave(host)
  end
  if pushed and answer.more then offers.make(host, row.beat) end
  return answer, given, #given > 0 and #given == want
end

function drain.claim(ask, row)
  local host = ask.host
  facts.sound()
  row = row or hosts.record(host)
  if not row.incarnation then return refused(host, 'no_host', 'host ' .. host .. ' is not registered: renew first') end
  if row.incarnation ~= ask.incarnation then
    return refused(host, 'no_host', 'host ' .. host .. ' now belongs to another incarnation')
  end
  local last = base.count(row.seq)
  if ask.seq == last then return { grants = remembered(row), more = row.more and true or nil } end
  if ask.seq < last then return { grants = {} } end
  local answer, given, filled = drain.give(host, row, ask.count)
  remember(host, row, ask, given, answer.more)
  if filled then return answer end
  local first = later.first('timers', 'later')
  if first then answer.retry_in = math.max(first - call.now, 0) end
  return answer
end

drain.QUESTION = {
  host = { is = 'host', must = true }, incarnation = { is = 'id', must = true },
  seq = { is = 'integer', must = true, least = 1 }, count = 'integer',
}
