-- Fair order between the lanes of a route: by stride, charged in milliseconds of a slot (slot-ms) over the lane's weight.
-- A lane's *pass* is what it has used; the smallest goes first. A start charges what a run of this lane is expected to take,
-- its end corrects that to what it took; runs that take longer than expected count while they run. The *virtual time* of a
-- route's band follows the lanes that start: whoever comes back to wait begins there, and whoever was blocked is at most one
-- run behind it, so nobody saves up turns.
-- Routes take turns on a host that serves several. A lane that started nothing for `ageing` moves up a priority, at its end.
-- This is soft state: `fair:<lane>` and `fair:<route>` go by themselves a while after their last use, and are made anew.
local EXPECTED = 1800000 -- ms, a run of a lane without a history; long, so that who is new holds one slot, not many
local LEAST = 1000 -- ms, what a run costs at least
local LANE_KEPT, ROUTE_KEPT = '86400000', '172800000' -- ms; a debt never outlives the virtual time that it is measured by
local BAND, HIGHEST = 5e12, 19 -- see queue.lane

local function read(name, known)
  if known ~= nil then return known end
  return redis.call('MGET', base.key('fair', name))[1] -- a key of another type is none
end

-- Its turn, and the virtual time of each band as v10 = ...
local function route_of(route, text)
  local known = call.fair[route]
  if known then return known end
  known = { turn = 0 }
  for name, number in (read(route, text) or ''):gmatch('(%w+):(%d+)') do known[name] = base.number(number) or 0 end
  call.fair[route] = known
  return known
end

-- {pass, expected (ms of a run), since (its last start), ages (when it next moves up; 0: never)}, and of its runs under way:
-- how many, the sum of their starts (ms since SUMMER), the sum of what they were charged.
local SUMMER = 1700000000000 -- that sums of many starts stay whole numbers

local function lane_of(lane, text)
  local known = call.fair[lane]
  if known then return known end
  local words = base.split(read(lane, text) or '', ' ')
  known = { pass = base.number(words[1]), expected = base.number(words[2]) or EXPECTED, since = base.number(words[3]) or call.now,
    ages = base.number(words[4]) or 0, runs = base.number(words[5]) or 0, starts = base.number(words[6]) or 0,
    charged = base.number(words[7]) or 0 }
  call.fair[lane] = known
  return known
end

-- Both at once.
local function pair(lane, route)
  if call.fair[lane] or call.fair[route] then return lane_of(lane), route_of(route) end
  local texts = redis.call('MGET', base.key('fair', lane), base.key('fair', route))
  return lane_of(lane, texts[1]), route_of(route, texts[2])
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
local function arrive(route, band)
  local field = 'v' .. band
  route[field], route.dirty = (route[field] or 0) + 1, true
  return route[field]
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
  local state, route = pair(lane, name)
  if not state.pass or state.pass <= (route['v' .. own] or 0) then state.pass = arrive(route, own) end
  state.since, state.ages, state.dirty = call.now, 0, true
  time(lane, state, own, own)
  return score_of(own, state.pass)
end

-- A lane has nothing more that waits.
function fair.leave(lane)
  local state = lane_of(lane)
  redis.call('ZREM', base.key('ages'), lane)
  state.ages, state.dirty = 0, state.pass ~= nil
end

-- A lane starts a run with this token. Answers its new score, and what was charged (ms).
function fair.charge(lane, token)
  local name, keys, own = queue.parts(lane)
  local state, route = pair(lane, name)
  local field, weight = 'v' .. own, weight_of(keys)
  local reached, charge, over = route[field] or 0, math.ceil(state.expected / weight), overrun(state, weight)
  local start = math.max((state.pass or reached) + over, reached - charge)
  route[field], route.turn, route.dirty = math.max(reached, start), token, true
  state.pass, state.since, state.dirty = start - over + charge, call.now, true
  state.runs, state.starts, state.charged = state.runs + 1, state.starts + call.now - SUMMER, state.charged + state.expected
  time(lane, state, own, own)
  return score_of(own, start + charge), state.expected
end

-- Whether a lane that stands at the front of its own band should stand further back, since its runs take longer than they
-- were charged: then its score.
function fair.late(lane, score)
  local state, _, keys, own = lane_of(lane), queue.parts(lane)
  if not state.pass or state.runs == 0 or fair.band(score) ~= own then return nil end
  local now = score_of(own, state.pass + overrun(state, weight_of(keys)))
  return now > score and now or nil
end

-- A run has ended. Answers the score of its lane where that has changed, were it to wait in its own band.
function fair.settle(row)
  local charged, started = base.number(row.charged), base.number(row.started_at)
  if not charged or not started or not row.lane then return end
  local _, keys, own = queue.parts(row.lane)
  local state, took = lane_of(row.lane), math.max(call.now - started, LEAST)
  if not state.pass then return end -- nothing is remembered that this could correct
  local weight = weight_of(keys)
  state.pass = math.max(state.pass + math.ceil(took / weight) - math.ceil(charged / weight), 0)
  state.expected, state.dirty = math.max(state.expected + math.floor((took - state.expected) / 4), LEAST), true
  state.runs = math.max(state.runs - 1, 0)
  local left = state.runs > 0 and 1 or 0 -- nothing is carried on by mistake
  state.starts, state.charged = (state.starts - started + SUMMER) * left, (state.charged - charged) * left
  return score_of(own, state.pass + overrun(state, weight))
end

-- Looks at up to `most` lanes that may have waited too long, and puts each where it now belongs.
function fair.age(most)
  for _, lane in ipairs(redis.call('ZRANGEBYSCORE', base.key('ages'), '-inf', call.now, 'LIMIT', 0, most)) do
    local name, keys, own = queue.parts(lane)
    local state, route = pair(lane, name)
    local after = base.setting('ageing')
    local band = own
    if after > 0 and own < HIGHEST - 1 then band = math.min(own + 2 * math.floor((call.now - state.since) / after), HIGHEST - 1) end
    local fine, waits = sound.holds(queue.refile, lane, function()
      if band > own then return score_of(band, arrive(route, band)) end
      return score_of(own, (state.pass or 0) + overrun(state, weight_of(keys))) -- also where `ageing` was made longer
    end)
    if fine and waits then
      state.dirty = true
      time(lane, state, band, own)
    else
      redis.call('ZREM', base.key('ages'), lane) -- it is gone, or its keys were damaged by hand
    end
  end
end

-- Which of several routes, whose best lanes are of one band, goes first: the one that started nothing for longest.
function fair.turn(routes)
  local best, new, keys = nil, {}, {}
  for _, route in ipairs(routes) do
    if not call.fair[route] then new[#new + 1], keys[#keys + 1] = route, base.key('fair', route) end
  end
  for i, text in ipairs(new[1] and redis.call('MGET', unpack(keys)) or {}) do route_of(new[i], text) end
  for _, route in ipairs(routes) do
    local turn = route_of(route).turn
    if not best or turn < best.turn or (turn == best.turn and route < best.route) then best = { route = route, turn = turn } end
  end
  return best.route
end

function fair.band(score) return HIGHEST - math.floor(score / BAND) end

-- Writes what this call has changed.
function fair.flush()
  for name, state in pairs(call.fair) do
    if state.dirty and state.turn then
      local words = { 'turn:' .. string.format('%d', state.turn) }
      for band = 0, HIGHEST do
        local reached = state['v' .. band]
        if reached then words[#words + 1] = 'v' .. band .. ':' .. string.format('%d', reached) end
      end
      redis.call('SET', base.key('fair', name), table.concat(words, ' '), 'PX', ROUTE_KEPT)
    elseif state.dirty then
      local text = string.format('%d %d %d %d %d %d %d', state.pass, state.expected, state.since, state.ages,
        state.runs, state.starts, state.charged)
      redis.call('SET', base.key('fair', name), text, 'PX', LANE_KEPT)
    end
  end
end
