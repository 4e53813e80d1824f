-- Times of waiting work: until `not_before` it stands in no lane; at its `deadline` one that still waits is given up.
-- `later` holds the next of these moments for each waiting one that has any; its record says what happens then.
local AGAIN = 60000 -- ms until a damaged record is looked at again

local function note(name, when)
  redis.call('ZADD', base.key('later'), string.format('%.0f', when), name)
  facts.due(when)
end

local function drop(name) redis.call('ZREM', base.key('later'), name) end

-- A moment for people: 2026-11-24T18:30:00Z.
local function moment(ms)
  local z = math.floor(ms / 86400000) + 719468 -- days since the first of March of the year 0
  local era = math.floor(z / 146097)
  local day_of_era = z - era * 146097
  local year_of_era = math.floor((day_of_era - math.floor(day_of_era / 1460) + math.floor(day_of_era / 36524)
    - math.floor(day_of_era / 146096)) / 365)
  local day = day_of_era - (365 * year_of_era + math.floor(year_of_era / 4) - math.floor(year_of_era / 100))
  local month = math.floor((5 * day + 2) / 153) -- 0: March
  local s = math.floor(ms % 86400000 / 1000)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02dZ', year_of_era + era * 400 + (month < 10 and 0 or 1),
    month < 10 and month + 3 or month - 9, day - math.floor((153 * month + 2) / 5) + 1,
    math.floor(s / 3600), math.floor(s % 3600 / 60), s % 60)
end

local function no(name, when)
  return { key = name, reason = 'not_before', used = 0, ['until'] = when,
    text = 'not before ' .. moment(when) .. ', in ' .. base.duration(when - call.now) }
end

-- Why one that is just asked for does not start yet, or nil.
function later.early(name, row)
  local when = base.number(row.not_before)
  return when and when > call.now and no(name, when) or nil
end

-- The same of one that waits, as it stands in the keys.
function later.refuses(name, row)
  local when = base.number(redis.call('ZSCORE', base.key('later'), name))
  if not when or when <= call.now or redis.call('ZSCORE', base.key('lane', row.lane), name) then return nil end
  return no(name, when)
end

-- It waits from now on: in its lane, or for its time.
function later.enter(name, row)
  local not_before, deadline = base.number(row.not_before), base.number(row.deadline)
  if not_before and not_before > call.now then return note(name, not_before) end
  if deadline then note(name, deadline) end
  queue.add(name, row.lane, base.number(row.place) or base.next('place'))
end

-- It waits no longer, and was not started.
function later.leave(name, row)
  if row.not_before or row.deadline then drop(name) end
  queue.remove(name, row.lane)
end

function later.started(name, row)
  if row.deadline then drop(name) end
end

-- Whether its deadline is over: then it is not started, however far down the list of what is due it stands.
function later.missed(row)
  local deadline = base.number(row.deadline)
  return deadline ~= nil and deadline <= call.now
end

function later.give_up(name, row, fields)
  fields.verdict = 'deadline'
  fields.question = (row.status == 'running' and 'not started again by ' or 'not started by ') .. moment(base.number(row.deadline))
  lease.finish(name, row, 'failed', fields)
  return 'failed'
end

-- One that ended waits again: times that are ahead hold, those that are over do not, and `told` says others (0: none).
function later.again(row, told)
  for _, field in ipairs { 'not_before', 'deadline' } do
    local when = told[field] or base.number(row[field])
    row[field] = when and when > call.now and when or false
  end
end

-- A moment that must be ahead and is over, as an answer.
function later.over(field, when)
  return { outcome = 'invalid', problems = { { field = field, problem = 'must be in the future, got ' .. moment(when),
    fix = 'name a later one, or none' } } }
end

-- What is wrong with the times of a question, as an answer, or nil; `row` has the times of one that waits again.
function later.wrong(ask, row)
  local not_before = ask.not_before or base.count(row and row.not_before)
  local deadline = ask.deadline or base.number(row and row.deadline)
  if ask.deadline and ask.deadline <= call.now and not (row and ask.deadline == 0) then return later.over('deadline', ask.deadline) end
  local problem
  if deadline and deadline > call.now and deadline <= not_before then
    problem = 'must be after not_before: ' .. moment(deadline) .. ' is not after ' .. moment(not_before)
  end
  return problem and { outcome = 'invalid', problems = { { field = 'deadline', problem = problem, fix = 'name a later one, or none' } } }
end

local function check(name)
  local row = sound.record(name)
  if row and row.status == 'queued' then sound.run(name, row, nil, later.missed(row) and 'failed' or 'queued') end
end

local function fire(name)
  local row = lease.record(name)
  if not row then -- removed by hand: it does not wait any more, and may have been the last
    redis.call('ZREM', base.key('status', 'queued'), name)
    call.ended = true
  end
  local waits = row and row.status == 'queued' and row.lane
  if waits and later.missed(row) then return later.give_up(name, row, {}) end
  drop(name)
  if waits then later.enter(name, row) end -- once more, where only its deadline was moved by hand
end

-- Does what falls due, at most so many; answers how many it looked at.
function later.fire(most)
  local due = redis.call('ZRANGEBYSCORE', base.key('later'), '-inf', call.now, 'LIMIT', 0, most)
  for _, name in ipairs(due) do
    if sound.holds(check, name) then fire(name) else note(name, call.now + AGAIN) end
  end
  return #due
end

-- The earliest moment in these, or nil.
function later.first(...)
  local first
  for _, name in ipairs { ... } do
    local _, at = base.first(base.key(name))
    local when = tonumber(at)
    if when and (not first or when < first) then first = when end
  end
  return first
end
