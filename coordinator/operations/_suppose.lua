-- Supposing: some limits are other ones, and every host that waits claims at once. The very verbs run, on an overlay.
local MOST_LOOKED, MOST_CALLS, MOST_KEPT, MOST_ROUTES = 64, 64, 10, 64
local ENOUGH = {} -- raised where a supposition has looked at as much as it may

-- Runs `doing()`, which writes nothing. Answers whether it came to its end.
local function supposed(doing)
  local root, epoch = call.root, base.epochs[call.root]
  local plain, plain_pcall, examine, looked = redis.call, redis.pcall, queue.examine, 0
  overlay.begin(plain)
  redis.call = overlay.ask
  function redis.pcall(...)
    local fine, answer = pcall(overlay.ask, ...)
    return fine and answer or { err = 'damaged' }
  end
  function queue.examine(...)
    looked = looked + 1
    if looked > MOST_LOOKED then error(ENOUGH, 0) end
    return examine(...)
  end
  local fine, problem = pcall(doing)
  redis.call, redis.pcall, queue.examine = plain, plain_pcall, examine
  base.epochs[root] = epoch -- also this memory is as it was
  if not fine and problem ~= ENOUGH then error(problem, 0) end
  return fine
end

-- All limits at once, as by a configuration: what one of them opens is not started before the last is set.
local LIMITS = { writes = true, answer = function(all)
  for _, one in ipairs(all) do sound.key(one.name) end
  latch.set_limits(all)
end }
-- A host that went silent does not come.
local SKIP = { writes = true, answer = function(ask) hosts.skip(ask.host) end }

-- The host whose turn it is asks for `count`. One that does not ask is handed the same by whoever serves it.
local function come(root, host, count)
  local incarnation = redis.call('HGET', base.key('host', host), 'incarnation')
  if not incarnation or not hosts.lives(host) then return verb.run(SKIP, root, { host = host }) end
  repeat
    local seq = base.count(redis.call('HGET', base.key('host', host), 'seq')) + 1
    local ask = { host = host, incarnation = incarnation, seq = seq, count = count - #overlay.told('AgentStarted') }
    local answer = verb.run(verb.rules.claim, root, ask)
  until not answer.more or #overlay.told('AgentStarted') >= count
end

-- What keeps the next ones: of each key that has a group, and of each route whose hosts are full, the first in line.
local function keeps()
  local out, star = {}, gates.refuses('*')
  if star then return out, gates.with_holders(star) end
  local function add(lane)
    local route, keys = queue.parts(lane)
    local name = base.first(base.key('lane', lane))
    local no = name and (gates.judge(keys) or rooms.lacks(rooms.of(route)))
    if no and #out < MOST_KEPT then out[#out + 1] = { workspace = name, refusal = gates.with_holders(no) } end
  end
  for _, limit_key in ipairs(redis.call('ZRANGE', base.key('blocked'), 0, MOST_KEPT - 1)) do
    local route = base.distinct(redis.call('SMEMBERS', base.key('groups', limit_key)))[1] -- of several the same, whenever it is asked
    local lane = route and base.first(base.key('blocked', limit_key, route))
    if lane then add(lane) end
  end
  for _, route in ipairs(redis.call('ZRANGE', base.key('routes'), 0, MOST_ROUTES - 1)) do
    local top = #out < MOST_KEPT and queue.top(route)
    if top and top.entry:sub(1, 1) ~= '@' then add(top.entry) end
  end
  return out
end

-- What would start: {starts, more?, refusal?, kept}. `limits` is key -> limit, or false for none.
function suppose.limits(limits, count)
  local root, answer, all = call.root, { starts = {} }, {}
  for limit_key, limit in pairs(limits) do all[#all + 1] = { name = limit_key, now = limit or nil } end
  table.sort(all, function(one, other) return one.name < other.name end)
  local ended = supposed(function()
    if all[1] then verb.run(LIMITS, root, all) end
    for _ = 1, MOST_CALLS do
      if #overlay.told('AgentStarted') > count then break end
      local host = base.first(base.key('poked'))
      if not host then
        base.begin(root)
        answer.kept, answer.refusal = keeps()
        return
      end
      come(root, host, count + 1) -- whether there is one more tells whether there is more
    end
    error(ENOUGH, 0)
  end)
  for _, fact in ipairs(overlay.told('AgentStarted')) do
    if #answer.starts < count then
      answer.starts[#answer.starts + 1] = { workspace = fact.workspace, host = fact.host, agent = fact.agent, repo = fact.repo }
    end
  end
  answer.more = not ended or nil
  return answer
end
