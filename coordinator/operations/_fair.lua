-- Fair order between the lanes of a route: by stride, charged in milliseconds of a slot (slot-ms) over the lane's weight.
-- A lane's *pass* is what it has used; the smallest goes first. A start charges what a run of this lane is expected to take,
-- its end corrects that to what it took; runs that take longer than expected count while they run. The *virtual time* of a
-- route's band follows the lanes that start: whoever comes back to wait begins there, and whoever was blocked is at most one
-- run behind it, so nobody saves up turns.
-- Routes take turns on a host that serves several. A lane that started nothing for `ageing` moves up a priority, at its end.
-- This is soft state: `fair:<route>` has a field for each lane, and those of the route: `turn`, the token of its last start, and
-- `v10`, the virtual time of band 10. What is not there is made anew.
local EXPECTED = 1800000 -- ms, a run of a lane without a history; long, so that who is new holds one slot, not many
local LEAST = 1000 -- ms, what a run costs at least
local YEAR = 31536000000 -- ms that a lane is remembered which nobody uses
local BAND, HIGHEST = 5e12, 19 -- see queue.lane

-- Fields of a route; a key of another type is none, and is written over.
local function read(route, ...)
  local found = redis.pcall('HMGET', base.key('fair', route), ...)
  if not found.err then return found end
  redis.call('DEL', base.key('fair', route))
  return {}
end

-- A lane is {pass, expected (ms of a run), since (its last start), ages (when it next moves up; 0: never)}, and of its runs under
-- way: how many, the sum of their starts (ms since SUMMER), the sum of what they were charged; `aged`: the band it has moved up to.
local SUMMER = 1700000000000 -- that sums of many starts stay whole numbers

-- Sums of a thousand runs and more are larger than the numbers that others write.
local function sum_of(text)
  local n = tonumber(text)
  return n and n >= 0 and n < 9e15 and math.floor(n) or 0
end

local function parsed(text, route)
  local words = base.split(text or '', ' ')
  return { pass = base.number(words[1]), expected = base.number(words[2]) or EXPECTED, since = base.number(words[3]) or call.now,
    ages = base.count(words[4]), runs = base.count(words[5]), starts = sum_of(words[6]),
    charged = sum_of(words[7]), aged = base.number(words[8]), route = route }
end

local function route_of(name)
  call.fair[name] = call.fair[name] or {}
  return call.fair[name]
end

local function reach(route, field, value)
  route[field], route.dirty = value, route.dirty or {}
  route.dirty[field] = true
end

-- A lane and its route, with the virtual time of the lane's own band.
local function pair(lane)
  local name, _, own = queue.parts(lane)
  local state, route, field = call.fair[lane], route_of(name), 'v' .. own
  if not state then
    local found = read(name, lane, field)
    state = parsed(found[1] or nil, name)
    call.fair[lane], route[field] = state, route[field] or base.count(found[2])
  end
  return state, route
end

-- Reads what an ending will correct, before anything is written.
fair.look = pair

local function band_of(route, name, band)
  local field = 'v' .. band
  if not route[field] then route[field] = base.count(read(name, field)[1]) end
  return route[field], field
end

local function weight_of(keys)
  if call.rare == false then return 1 end
  for _, weight in ipairs(redis.call('HMGET', base.key('weights'), unpack(keys))) do
    weight = base.number(weight)
    if weight and weight >= 1 then return math.min(weight, 1000) end
  end
  return 1
end

local function score_of(band, pass) return (HIGHEST - band) * BAND + math.min(pass, BAND - 1) end

-- The end of a route's band: whoever comes to it stands behind those who came before.
local function arrive(route, name, band)
  local reached, field = band_of(route, name, band)
  reach(route, field, reached + 1)
  return reached + 1
end

-- When it next moves up is kept in `ages`, never too late; one that is too early is looked at, and put right.
local function time(lane, state, band, own)
  local after = base.setting('ageing')
  local steps = math.floor((band - own) / 2) + 1
  local when = after > 0 and band < HIGHEST - 1 and base.until_after(state.since + steps * after - call.now) or 0
  if when == state.ages or (when > state.ages and state.ages > call.now) then return end
  if when > 0 then
    redis.call('ZADD', base.key('ages'), string.format('%d', when), lane)
    facts.due(when)
  elseif state.ages > 0 then
    redis.call('ZREM', base.key('ages'), lane)
  end
  state.ages = when
end

-- What its runs under way have taken beyond what they were charged.
local function overrun(state, weight)
  local took = state.runs * (call.now - SUMMER) - state.starts
  return math.max(math.ceil((took - state.charged) / weight), 0)
end

-- A lane begins to wait. Answers its score in its route.
function fair.enter(lane)
  local name, _, own = queue.parts(lane)
  local state, route = pair(lane)
  if not state.pass or state.pass <= route['v' .. own] then state.pass = arrive(route, name, own) end
  state.since, state.ages, state.aged, state.dirty = call.now, 0, nil, true
  time(lane, state, own, own)
  return score_of(own, state.pass)
end

-- A lane has nothing more that waits.
function fair.leave(lane)
  local state = pair(lane)
  redis.call('ZREM', base.key('ages'), lane)
  state.ages, state.aged, state.dirty = 0, nil, state.pass ~= nil
end

-- A lane starts a run with this token. Answers its new score, and what was charged (ms).
function fair.charge(lane, token)
  local _, keys, own = queue.parts(lane)
  local state, route = pair(lane)
  local field, weight = 'v' .. own, weight_of(keys)
  local reached, charge, over = route[field], math.ceil(state.expected / weight), overrun(state, weight)
  local start = math.max((state.pass or reached) + over, reached - charge)
  reach(route, field, math.max(reached, start))
  reach(route, 'turn', token)
  state.pass, state.since, state.aged, state.dirty = start - over + charge, call.now, nil, true
  state.runs, state.starts, state.charged = state.runs + 1, state.starts + call.now - SUMMER, state.charged + state.expected
  time(lane, state, own, own)
  return score_of(own, start + charge), state.expected
end

-- Whether a lane that stands at the front of its own band should stand further back, since its runs take longer than they
-- were charged: then its score.
function fair.late(lane, score)
  local state, _, keys, own = pair(lane), queue.parts(lane)
  if not state.pass or state.runs == 0 or fair.band(score) ~= own then return nil end
  local now = score_of(own, state.pass + overrun(state, weight_of(keys)))
  return now > score and now or nil
end

-- A run has ended. Answers the score of its lane where that has changed; one that has aged keeps its band.
function fair.settle(row)
  local charged, started = base.number(row.charged), base.number(row.started_at)
  if not charged or not started or not row.lane then return end
  local _, keys, own = queue.parts(row.lane)
  local state, took = pair(row.lane), math.max(call.now - started, LEAST)
  if not state.pass then return end -- nothing is remembered that this could correct
  local weight = weight_of(keys)
  state.pass = math.max(state.pass + math.ceil(took / weight) - math.ceil(charged / weight), 0)
  state.expected, state.dirty = math.max(state.expected + math.floor((took - state.expected) / 4), LEAST), true
  state.runs = math.max(state.runs - 1, 0)
  local left = state.runs > 0 and 1 or 0 -- nothing is carried on by mistake
  state.starts, state.charged = (state.starts - started + SUMMER) * left, (state.charged - charged) * left
  return not state.aged and score_of(own, state.pass + overrun(state, weight)) or nil
end

-- Looks at up to `most` lanes that may have waited too long, and puts each where it now belongs.
function fair.age(most)
  for _, lane in ipairs(redis.call('ZRANGEBYSCORE', base.key('ages'), '-inf', call.now, 'LIMIT', 0, most)) do
    local name, keys, own = queue.parts(lane)
    local state, route = pair(lane)
    state.pass = state.pass or 0 -- what it has used was deleted by hand
    local after = base.setting('ageing')
    local band = own
    if after > 0 and own < HIGHEST - 1 then band = math.min(own + 2 * math.floor((call.now - state.since) / after), HIGHEST - 1) end
    local fine, waits = sound.holds(queue.refile, lane, function()
      if band > own then return score_of(band, arrive(route, name, band)) end
      return score_of(own, state.pass + overrun(state, weight_of(keys))) -- also where `ageing` was made longer
    end)
    if fine and waits then
      state.aged, state.dirty = band > own and band or nil, true
      time(lane, state, band, own)
    else
      redis.call('ZREM', base.key('ages'), lane) -- it is gone, or its keys were damaged by hand
    end
  end
end

-- Which of several routes, whose best lanes are of one band, goes first: the one that started nothing for longest.
function fair.turn(routes)
  local best
  for _, name in ipairs(routes) do
    local route = route_of(name)
    if not route.turn then route.turn = base.count(read(name, 'turn')[1]) end
    if not best or route.turn < best.turn or (route.turn == best.turn and name < best.name) then best = { name = name, turn = route.turn } end
  end
  return best.name
end

function fair.band(score) return HIGHEST - math.floor(score / BAND) end

local function told(state)
  local text = string.format('%d %d %d %d %d %d %d', state.pass, state.expected, state.since, state.ages, state.runs, state.starts, state.charged)
  return state.aged and string.format('%s %d', text, state.aged) or text
end

-- Writes what this call has changed: one command a route.
function fair.flush()
  local fields = {}
  for name, state in pairs(call.fair) do
    if state.dirty then
      local route = state.route or name
      local of = fields[route] or {}
      fields[route] = of
      if state.route then
        of[name] = told(state)
      else
        for field in pairs(state.dirty) do of[field] = state[field] end
      end
    end
  end
  for route, of in pairs(fields) do base.write(base.key('fair', route), of) end
end

-- A route that is made again keeps what is known of it: see forget in reap.lua.
function fair.keep(route) redis.call('PERSIST', base.key('fair', route)) end

-- Of some route some lanes are looked at: those that nobody has used for a year go.
function fair.tend()
  local route = redis.call('ZRANDMEMBER', base.key('routes'), 1)[1]
  local flat = route and redis.pcall('HRANDFIELD', base.key('fair', route), 8, 'WITHVALUES') or {}
  for i = 1, #flat, 2 do
    local is_lane, state = flat[i]:find(' ', 1, true), parsed(flat[i + 1])
    local used = state.runs > 0 or state.ages > 0 or call.now - state.since < YEAR
    if is_lane and not used then redis.call('HDEL', base.key('fair', route), flat[i]) end
  end
end
