-- Reading for people and other programs, and walks over many workspaces in parts.
local NUMBERS = { 'pid', 'token', 'priority', 'place', 'attempt', 'runs', 'ttl', 'started_at', 'ended_at', 'queued_at', 'updated_at', 'exit_code',
  'cost_usd', 'not_before', 'deadline' }
local HIDDEN = { lane = true, asked = true, granted = true, confirmed = true, machine = true, pinned = true, tracked = true,
  charged = true, front = true, past = true }

-- A record as an answer shows it; `brief` cuts the task.
function records.view(name, row, brief)
  local out = { workspace = name }
  for field, value in pairs(row) do
    if not HIDDEN[field] then out[field] = value end
  end
  for _, field in ipairs(NUMBERS) do
    if out[field] then out[field] = base.number(out[field]) end
  end
  if row.labels then out.labels = base.parse(row.labels) end
  if row.pinned then out.pinned = true end
  if row.kill then out.kill = base.parse(row.kill) end
  if brief and row.task and #row.task > 200 then
    local cut = row.task:sub(1, 200)
    if row.task:find('^[\128-\191]', 201) then cut = cut:gsub('[\192-\255][\128-\191]*$', '') end -- part of a letter
    out.task = cut .. ' ...'
  end
  return out
end

-- Whether a walk of the server can go on from there: more digits are no number for it.
function records.is_cursor(text) return #text <= 19 and not text:find('%D') end

-- One part of a walk over a set or sorted set: names, and the cursor to go on with (nil at the end).
function records.part(command, key, cursor)
  local found = redis.call(command, key, cursor or '0', 'COUNT', 256)
  local names = {}
  for i = 1, #found[2], command == 'ZSCAN' and 2 or 1 do names[#names + 1] = found[2][i] end
  return names, found[1] ~= '0' and found[1] or nil
end

function records.wrong_cursor()
  return { outcome = 'invalid', problems = { { field = 'cursor', problem = 'must be the cursor of an answer to the same question',
    fix = 'leave it out to begin anew' } } }
end

-- The workspaces a filter names, one part a call: a single one, or those of a status, from a cursor.
function records.chosen(ask, default_status)
  if ask.workspace then return { ask.workspace }, nil end
  local key = base.key('status', ask.status or default_status)
  base.expect('zset', key)
  return records.part('ZSCAN', key, ask.cursor)
end

-- Runs `change(name, row)` on each chosen one that has a record; counts those it answered true for. They go to status `to`.
-- `check(name, row)`, with the few fields of sound.record, checks first what else a change will touch.
function records.each(ask, default_status, to, change, check)
  if ask.cursor and not records.is_cursor(ask.cursor) then return records.wrong_cursor() end
  local names, cursor = records.chosen(ask, default_status)
  for _, name in ipairs(names) do
    local row = sound.record(name)
    if row then sound.run(name, row, nil, to) end
    if row and check then check(name, row) end
  end
  local count = 0
  for _, name in ipairs(names) do
    local row = lease.record(name)
    if row and change(name, row) then count = count + 1 end
  end
  return { outcome = 'done', count = count, cursor = cursor, more = cursor and true or nil }
end
