-- query: records by name or by filters, newest first, in pages. Read-only.
-- Answers found{workspaces[] or names[], cursor?}: ask again with the cursor for the next page.
local STATUSES = { 'running', 'queued', 'blocked', 'failed', 'ready-for-review', 'completed', 'merged' }
local MOST_LOOKED_AT = 1000
local PART = 100

-- How many of an index, newest first, stand before a place or at it: it holds also when what stood there has moved.
local function passed(key, place)
  local from = redis.call('ZCOUNT', key, '(' .. place.score, '+inf')
  local to = from + redis.call('ZCOUNT', key, place.score, place.score)
  while from < to do
    local middle = math.floor((from + to) / 2)
    if base.before(redis.call('ZREVRANGE', key, middle, middle)[1], place.name) then to = middle else from = middle + 1 end
  end
  return from
end

-- The index of a status from a place on, within the times asked for. A call is one moment, so ranks hold while it lasts.
local function index_of(status, ask, place)
  local key = base.key('status', status)
  local function since(time) return redis.call('ZCOUNT', key, string.format('%.0f', time), '+inf') end
  local first = math.max(ask.before and since(ask.before) or 0, place and passed(key, place) or 0)
  return { key = key, at = first, stop = ask.after and since(ask.after) or redis.call('ZCARD', key), part = {}, next = 1 }
end

local function ahead(one, other)
  return not other or one.score > other.score or (one.score == other.score and base.before(other.name, one.name))
end

-- The index whose head is the newest; nil when all are at their end.
local function newest(indexes)
  local best
  for _, index in ipairs(indexes) do
    if index.next > #index.part and index.at < index.stop then
      index.part = redis.call('ZREVRANGE', index.key, index.at, math.min(index.at + PART, index.stop) - 1, 'WITHSCORES')
      index.at, index.next = index.at + PART, 1
    end
    index.name, index.score = index.part[index.next], tonumber(index.part[index.next + 1])
    if index.name and ahead(index, best) then best = index end
  end
  return best
end

local function wanted(name, ask)
  if not (ask.repo or ask.agent or ask.host) then return true end
  local row = redis.call('HMGET', base.key('workspace', name), 'repo', 'org', 'host', 'agent')
  local repo, agent = row[1], row[4] or ''
  if ask.repo and repo ~= ask.repo and (row[2] or '') .. '/' .. (repo or '') ~= ask.repo then return false end
  if ask.host and row[3] ~= ask.host then return false end
  return not ask.agent or agent == ask.agent or agent:match('^[^:]*') == ask.agent
end

local function shown(name, score, ask)
  if ask.names then return name end
  local row = lease.record(name)
  if not row or not row.status then return nil end -- removed by hand
  local view = records.view(name, row, not ask.name)
  view.since = base.number(score)
  return view
end

-- Statuses that are read together, newest first over all of them, one group after the other.
local function groups_of(ask)
  if ask.status then return { { ask.status } } end
  if ask.recent then return { STATUSES } end
  local groups = {}
  for i, status in ipairs(STATUSES) do groups[i] = { status } end
  return groups
end

-- A cursor is a group, then the last that was passed in it, if any: `2:1720000000000:core/go-io/task-5`.
local function start_of(cursor, groups)
  if not cursor then return 1 end
  local at, score, name = cursor:match('^(%d+):([^:%s]+):(.+)$')
  at = tonumber(at or cursor)
  local number = tonumber(score or 0)
  if not groups[at] or not number or number ~= number then return nil end
  return at, name and { score = score, name = name }
end

local function page(ask, groups, at, place)
  local found, looked = {}, 0
  while groups[at] do
    local indexes = {}
    for i, status in ipairs(groups[at]) do indexes[i] = index_of(status, ask, place) end
    local head = newest(indexes)
    while head do
      if #found == (ask.count or 50) or looked == MOST_LOOKED_AT then
        return found, place and at .. ':' .. place.score .. ':' .. place.name or tostring(at)
      end
      looked, place = looked + 1, { score = head.part[head.next + 1], name = head.name }
      if wanted(head.name, ask) then found[#found + 1] = shown(head.name, place.score, ask) end
      head.next = head.next + 2
      head = newest(indexes)
    end
    at, place = at + 1, nil
  end
  return found, nil
end

verb.register {
  name = 'query',
  question = { name = 'workspace', status = 'status', repo = 'repo_path', agent = 'agent', host = 'host',
    after = 'integer', before = 'integer', recent = 'boolean', names = 'boolean', cursor = 'line',
    count = { is = 'integer', least = 1, most = 500 } },
  answer = function(ask)
    local found, cursor
    if ask.name then
      local status = redis.call('HGET', base.key('workspace', ask.name), 'status')
      local score = status and redis.call('ZSCORE', base.key('status', status), ask.name)
      found = { status and shown(ask.name, score, ask) or nil }
    else
      local groups = groups_of(ask)
      local at, place = start_of(ask.cursor, groups)
      if not at then return records.wrong_cursor() end
      found, cursor = page(ask, groups, at, place)
    end
    return { outcome = 'found', workspaces = ask.names and {} or found, names = ask.names and found or nil, cursor = cursor }
  end,
}
