-- Lanes: waiting workspaces with the same route and the same limit keys, in order.
-- A lane is in exactly one place: `ready:<route>`, or the group `blocked:<K>:<route>` of the key K that refused it.
-- `lanes:<route>` says which. Nothing here walks over lanes: they are found again by key.
function queue.lane(route, keys) return route .. ' ' .. table.concat(keys, ' ') end

function queue.parts(lane)
  local words = base.split(lane, ' ')
  return table.remove(words, 1), words
end

function queue.pool(agent) return agent:match('^[^:]*') end

-- The pool of an agent, and the limit keys of a lane in the order they are judged; `*` is judged apart.
function queue.keys(agent, org, repo, more)
  local pool = queue.pool(agent)
  local keys, seen = {}, { ['*'] = true }
  local function add(limit_key)
    if not seen[limit_key] then
      seen[limit_key] = true
      keys[#keys + 1] = limit_key
    end
  end
  add(pool)
  add(agent)
  if repo then add('repo:' .. (org and org .. '/' or '') .. repo) end
  for _, limit_key in ipairs(more or {}) do add(limit_key) end
  return pool, keys
end

-- Priority 9 goes first; within a priority, who came first.
function queue.score(priority, place) return string.format('%.0f', (9 - priority) * 1e13 + place) end

-- Where a lane stands in its route: `ready`, or the group of a key.
local function place_in(route, where) return where == '' and base.key('ready', route) or base.key('blocked', where, route) end

-- A group changed: its mark @K follows its best lane; an empty group leaves nothing behind.
local function mark(where, route)
  local best = redis.call('ZRANGE', base.key('blocked', where, route), 0, 0, 'WITHSCORES')
  if best[1] then
    redis.call('ZADD', base.key('ready', route), 'XX', best[2], '@' .. where)
  else
    redis.call('ZREM', base.key('ready', route), '@' .. where)
    redis.call('SREM', base.key('groups', where), route)
    if redis.call('EXISTS', base.key('groups', where)) == 0 then redis.call('ZREM', base.key('blocked'), where) end
  end
end

local function enter(route, lane, where, score)
  redis.call('HSET', base.key('lanes', route), lane, where)
  redis.call('ZADD', place_in(route, where), score, lane)
  if where == '' then
    call.touched[route] = true
  else
    redis.call('SADD', base.key('groups', where), route)
    redis.call('ZADD', base.key('blocked'), 0, where)
    mark(where, route)
  end
end

-- A lane's head changed: its score follows, and a lane without a head is gone. `where` it stands and `head` {name, score}
-- are read where the caller does not know them.
function queue.refile(lane, where, head)
  local route = queue.parts(lane)
  where = where or redis.call('HGET', base.key('lanes', route), lane)
  if not where then return end
  head = head or redis.call('ZRANGE', base.key('lane', lane), 0, 0, 'WITHSCORES')
  if head[1] and where ~= '' then
    return enter(route, lane, where, head[2]) -- also when its group was deleted by hand
  elseif head[1] then
    redis.call('ZADD', place_in(route, where), head[2], lane)
  else
    redis.call('ZREM', place_in(route, where), lane)
    redis.call('HDEL', base.key('lanes', route), lane)
  end
  if where ~= '' then mark(where, route) end
end

-- Refused by another key than the one it was grouped under.
function queue.move(lane, from, to)
  local route = queue.parts(lane)
  local score = redis.call('ZSCORE', place_in(route, from), lane)
  redis.call('ZREM', place_in(route, from), lane)
  if from ~= '' then mark(from, route) end
  enter(route, lane, to, score)
end

-- Puts a workspace into its lane. A new lane goes where it is judged to belong, so `ready` holds what may start.
function queue.add(name, lane, priority, place)
  local route, keys = queue.parts(lane)
  hosts.new_route(route)
  local score = queue.score(priority, place)
  redis.call('ZADD', base.key('lane', lane), score, name)
  if redis.call('HEXISTS', base.key('lanes', route), lane) == 1 then
    queue.refile(lane)
  else
    local no = gates.judge(keys)
    enter(route, lane, no and no.key or '', score)
  end
  call.touched[route] = true
end

function queue.remove(name, lane, where, head)
  redis.call('ZREM', base.key('lane', lane), name)
  queue.refile(lane, where, head)
end

-- The best entry of a route: {entry, score} or nil.
function queue.top(route)
  local best = redis.call('ZRANGE', base.key('ready', route), 0, 0, 'WITHSCORES')
  if not best[1] then return nil end
  return { entry = best[1], score = tonumber(best[2]) }
end

-- Looks at the best entry of a route once. Answers the lane to grant from, where it stands, its head and the one behind
-- it {name, score, name, score}; or nil when the entry went elsewhere.
function queue.examine(route, entry)
  local lane, where = entry, ''
  if entry:sub(1, 1) == '@' then
    where = entry:sub(2)
    if not gates.admits(where) then
      redis.call('ZREM', base.key('ready', route), entry)
      return nil
    end
    lane = redis.call('ZRANGE', base.key('blocked', where, route), 0, 0)[1]
    if not lane then
      mark(where, route)
      return nil
    end
  end
  local first = redis.call('ZRANGE', base.key('lane', lane), 0, 1, 'WITHSCORES')
  base.expect('hash', base.key('lanes', route))
  if not first[1] then
    queue.refile(lane, where, first)
    return nil
  end
  local _, keys = queue.parts(lane)
  local no = gates.judge(keys)
  if not no then return lane, where, first end
  sound.group(no.key, route)
  queue.move(lane, where, no.key)
  return nil
end
