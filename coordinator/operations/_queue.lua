-- Lanes: waiting workspaces with the same route and the same limit keys, in order.
-- A lane is in exactly one place: `ready:<route>`, or the group `blocked:<K>:<route>` of the key K that refused it.
-- `lanes:<route>` says which. Nothing here walks over lanes: they are found again by key.
-- All of one band: two for each priority, the upper for those that were put in front. One of its own is a lane's last
-- word, `#18` for priority 9; it is that of priority 5 where there is none.
local COMMON = 10

function queue.lane(route, keys, priority, front)
  local band = 2 * (base.number(priority) or 5) + (front and 1 or 0)
  return route .. ' ' .. table.concat(keys, ' ') .. (band ~= COMMON and string.format(' #%d', band) or '')
end

-- The route, the limit keys and the band of a lane. Not to be changed: many calls ask for the same lanes.
local split, count, MOST_SPLIT = {}, 0, 1000

function queue.parts(lane)
  local known = split[lane]
  if not known then
    if count == MOST_SPLIT then split, count = {}, 0 end
    count = count + 1
    local words = base.split(lane, ' ')
    local route = table.remove(words, 1)
    local band = (words[#words] or ''):match('^#(%d+)$')
    if band then words[#words] = nil end
    known = { route, words, tonumber(band) or COMMON }
    split[lane] = known
  end
  return known[1], known[2], known[3]
end

function queue.pool(agent) return agent:match('^[^:]*') end

-- The pool of an agent, and the limit keys of a lane in the order they are judged; `*` is judged apart.
function queue.keys(agent, org, repo, labels, more)
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
  if org then add('org:' .. org) end
  for _, one in ipairs(base.distinct(labels)) do add('label:' .. one) end
  for _, limit_key in ipairs(more or {}) do add(limit_key) end
  return pool, keys
end

-- Where a lane stands in its route: `ready`, or the group of a key.
function queue.place_of(route, where) return where == '' and base.key('ready', route) or base.key('blocked', where, route) end

-- A group changed: its mark @K follows its best lane; an empty group leaves nothing behind.
local function mark(where, route)
  local best, score = base.first(base.key('blocked', where, route))
  if best then
    redis.call('ZADD', base.key('ready', route), 'XX', score, '@' .. where)
  else
    redis.call('ZREM', base.key('ready', route), '@' .. where)
    redis.call('SREM', base.key('groups', where), route)
    if redis.call('EXISTS', base.key('groups', where)) == 0 then redis.call('ZREM', base.key('blocked'), where) end
  end
end

queue.mark = mark

-- Where a lane begins to stand: refused by `no`, or ready. The first refusal of its head by a key is told, once: not again
-- while the lane stays in the group of that key.
local function enter(route, lane, no, score, head)
  local where = no and no.key or ''
  call.looked, call.kept_none = nil, nil -- what was due has moved something since
  redis.call('HSET', base.key('lanes', route), lane, where)
  redis.call('ZADD', queue.place_of(route, where), score, lane)
  if where == '' then
    call.touched[route] = true
  else
    redis.call('SADD', base.key('groups', where), route)
    redis.call('ZADD', base.key('blocked'), 0, where)
    mark(where, route)
    facts.tell('Waiting', { workspace = head, key = where, reason = no.reason, used = no.used, limit = no.limit, ['until'] = no['until'] })
  end
end

local function text(score) return string.format('%d', score) end

-- A lane that stays where it is, if it waits at all, has another score.
local function rescore(lane, route, where, score)
  redis.call('ZADD', queue.place_of(route, where), 'XX', text(score), lane)
  if where ~= '' then mark(where, route) end
end

-- Nothing of a lane waits any more.
local function leave(lane, route, where)
  redis.call('ZREM', queue.place_of(route, where), lane)
  redis.call('HDEL', base.key('lanes', route), lane)
  if where ~= '' then mark(where, route) end
  fair.leave(lane)
end

-- Refused by another key than the one it was grouped under.
local function move(lane, route, from, no, head)
  local score = redis.call('ZSCORE', queue.place_of(route, from), lane)
  redis.call('ZREM', queue.place_of(route, from), lane)
  if from ~= '' then mark(from, route) end
  enter(route, lane, no, score, head)
end

-- Puts a workspace into its lane, first come first served. A new lane goes where it is judged to belong, so `ready` holds
-- what may start.
function queue.add(name, lane, place)
  local route, keys = queue.parts(lane)
  redis.call('ZADD', base.key('lane', lane), text(place), name)
  call.touched[route] = true
  if redis.call('HEXISTS', base.key('lanes', route), lane) == 1 then return end
  hosts.new_route(route)
  local no = gates.judge(keys)
  enter(route, lane, no, text(fair.enter(lane)), name)
end

-- Takes a workspace out of its lane that is not to start.
function queue.remove(name, lane)
  redis.call('ZREM', base.key('lane', lane), name)
  local route = queue.parts(lane)
  local where = redis.call('HGET', base.key('lanes', route), lane)
  if where and redis.call('EXISTS', base.key('lane', lane)) == 0 then leave(lane, route, where) end
end

-- Takes the head of a lane that starts with this token; `where` the lane stands, and who stands `behind` the head.
-- Answers what its start was charged.
function queue.take(name, lane, where, behind, token)
  local route = queue.parts(lane)
  redis.call('ZREM', base.key('lane', lane), name)
  local score, charged = fair.charge(lane, token)
  if behind then
    rescore(lane, route, where, score)
  else
    leave(lane, route, where)
  end
  return charged
end

-- Where a lane stands, `''` for ready; false when nothing of it waits. One that no key keeps is ready, if it waits at all.
function queue.stands(lane, is_kept)
  local route = queue.parts(lane)
  return not is_kept and '' or redis.call('HGET', base.key('lanes', route), lane)
end

-- A run of this lane has ended: what still waits of it goes by what its runs took.
function queue.settle(row)
  local score = fair.settle(row)
  if not score then return end
  local looked = sound.looked(row)
  local where = looked and looked.stands
  if where == nil then where = queue.stands(row.lane, true) end
  local route = queue.parts(row.lane)
  if where then rescore(row.lane, route, where, score) end
end

-- Puts a lane that still waits where `score()` says; answers whether it does.
function queue.refile(lane, score)
  sound.lane(lane)
  local route = queue.parts(lane)
  local where = redis.call('HGET', base.key('lanes', route), lane)
  if not where then return false end
  rescore(lane, route, where, score())
  if where == '' then call.touched[route] = true end
  return true
end

-- The best entry of a route: {entry, score, band} or nil.
function queue.top(route)
  local best, at = base.first(base.key('ready', route))
  if not best then return nil end
  local score = tonumber(at)
  return { entry = best, score = score, band = fair.band(score) }
end

-- Looks at the best entry of a route once. Answers the lane to grant from, where it stands, its head and who is behind
-- that; or nil when the entry went elsewhere.
function queue.examine(route, entry, score)
  local lane, where = entry, ''
  if entry:sub(1, 1) == '@' then
    where = entry:sub(2)
    if not gates.admits(where) then
      redis.call('ZREM', base.key('ready', route), entry)
      return nil
    end
    lane = base.first(base.key('blocked', where, route))
    if not lane then
      mark(where, route)
      return nil
    end
  end
  local first = redis.call('ZRANGE', base.key('lane', lane), 0, 1)
  if not first[2] then base.expect('hash', base.key('lanes', route)) end -- the lane may leave
  if not first[1] then
    leave(lane, route, where)
    return nil
  end
  local _, keys = queue.parts(lane)
  local no = gates.judge(keys)
  if not no then
    local late = fair.late(lane, score)
    if not late then return lane, where, first[1], first[2] end
    rescore(lane, route, where, late)
    return nil
  end
  base.expect('hash', base.key('lanes', route))
  sound.group(no.key, route)
  move(lane, route, where, no, first[1])
  return nil
end
