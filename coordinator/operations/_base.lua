-- The words every file below uses: the call under way, keys, the clock, JSON lists, answers, damage.
base.LIB = 12 -- this library's number; raised with every change of a rule

-- Every command goes this way. A key of the wrong type was changed by hand: the call stops and names it.
redis.register_function = server().register_function
function redis.pcall(...) return server().pcall(...) end
function redis.error_reply(text) return server().error_reply(text) end
local ask -- the server's own pcall; it is not there while the library is loaded
function redis.call(...)
  local answer = ask(...)
  if type(answer) ~= 'table' or not answer.err then return answer end
  local text = tostring(answer.err)
  if text:find('^WRONGTYPE') then base.damaged(select(2, ...), 'key fit for ' .. (...)) end
  local _, line = pcall(error, '', 3) -- whose call it was
  error({ err = text .. ' at ' .. line }, 0)
end

base.epochs = {} -- root -> epoch; forgotten when the server restarts, is promoted or loads the library anew

function base.key(name, of, more)
  if more then return call.prefix .. name .. ':' .. of .. ':' .. more end
  if of then return call.prefix .. name .. ':' .. of end
  return call.prefix .. name
end

-- A list for an answer. cjson writes an empty table as {}: readers take {} for an empty list.
function base.list(from)
  local out = {}
  for i, value in ipairs(from or {}) do out[i] = value end
  return out
end

function base.hash(key)
  local flat, row = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do row[flat[i]] = flat[i + 1] end
  return row
end

-- The first of an ordered set and its score, as text.
function base.first(key) return unpack(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')) end

-- A hash of whole numbers.
function base.numbers(key)
  local row = base.hash(key)
  for field, text in pairs(row) do row[field] = base.number(text) end
  return row
end

-- A table for an answer, nil where there is nothing in it: an empty object would be written as a list by some servers.
function base.some(of) return of and next(of) and of or nil end

-- As a record keeps it. Every number that is kept is whole and fits; `%d` takes a third of the time of `%.0f`.
function base.text(value)
  if type(value) == 'number' then return string.format('%d', value) end
  return value
end

-- Writes fields in one call; a false value removes its field. Of a `row` that was read, only what is there.
function base.write(key, fields, row)
  local set, gone, at = { 'HSET', key }, nil, 2
  for field, value in pairs(fields) do
    if value then
      set[at + 1], set[at + 2], at = field, base.text(value), at + 2
    elseif not row or row[field] then
      gone = gone or { 'HDEL', key }
      gone[#gone + 1] = field
    end
  end
  if at > 2 then redis.call(unpack(set)) end
  if gone then redis.call(unpack(gone)) end
end

-- cjson escapes every slash; names are full of them and people read these answers.
function base.encode(value)
  local text = cjson.encode(value):gsub('\\/', '/')
  return text
end

-- A whole number from a record; nil when it is absent or was edited into something else by hand.
function base.number(text)
  local n = tonumber(text)
  if n and n == n and n > -1e14 and n < 1e14 then return math.floor(n) end
end

-- The same, 0 where there is none.
function base.count(text) return base.number(text) or 0 end

-- A moment so long from now, or the last one that a number can tell.
local LAST = 99999999999999

function base.until_after(ms) return math.min(call.now + ms, LAST) end

-- As the server orders names, by their bytes: `<` would go by the locale of its machine.
function base.before(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = one:byte(i), other:byte(i)
    if a ~= b then return a < b end
  end
  return #one < #other
end

-- A list sorted, each value once.
function base.distinct(from)
  local sorted, out = base.list(from), {}
  table.sort(sorted)
  for i, one in ipairs(sorted) do
    if one ~= sorted[i - 1] then out[#out + 1] = one end
  end
  return out
end

function base.split(text, by)
  local out = {}
  for part in string.gmatch(text, '[^' .. by .. ']+') do out[#out + 1] = part end
  return out
end

function base.parse(text) -- JSON from a record; nil when it was edited into something else by hand
  local _, value = pcall(cjson.decode, text or '')
  if type(value) == 'table' then return value end
end

local function type_of(key)
  local found = redis.call('TYPE', key)
  return found.ok or found
end

function base.damaged(key, expected)
  error({ damaged = { key = key, expected = expected, found = type_of(key),
    fix = 'it was changed by hand: look at it, then DEL ' .. key .. ' and do what docs/keys.md says of it, or restore it' } })
end

-- A key has this type or is absent; else the call stops here. Looked at once a call: a call itself writes no wrong type.
function base.expect(kind, key)
  if call.checked[key] == kind then return end
  local found = type_of(key)
  if found ~= kind and found ~= 'none' then base.damaged(key, kind) end
  call.checked[key] = kind
end

local DEFAULTS = { lease_ttl = 300000, beat = 10000, kill_grace = 15000, max_attempts = 3, spawn_timeout = 60000, history = 2592000000,
  ageing = 3600000 }

function base.setting(name) return base.number(call.control[name]) or DEFAULTS[name] end

-- Those settings that somebody has made, nil for none.
function base.own_settings()
  local out = {}
  for name in pairs(DEFAULTS) do out[name] = base.number(call.control[name]) end
  return base.some(out)
end

-- Every setting as it is in force.
function base.settings()
  local out = {}
  for name in pairs(DEFAULTS) do out[name] = base.setting(name) end
  return out
end

-- `call` is the call under way: functions run one at a time, so one table serves.
function base.begin(root)
  ask = server().pcall
  local time = redis.call('TIME')
  call = { root = root, prefix = root .. ':', now = time[1] * 1000 + math.floor(time[2] / 1000), touched = {}, checked = {}, used = {}, seen = {},
    paces = {}, fair = {}, modes = {}, offers = {}, served = 0 }
  call.control = base.hash(base.key('control'))
end

-- A field of the control hash, false to remove it. It is written at the end of the call, with all others that were kept.
function base.keep(field, value)
  call.kept = call.kept or {}
  call.kept[field] = value
  call.control[field] = value and base.text(value) or nil
end

-- Names in a field of the control hash: the pools that have accounts, or rates, so that no call asks for what is not there; the hosts
-- that are expected.
function base.named(field) return base.split(call.control[field] or '', ' ') end

function base.is_named(field, name)
  local names = name ~= '' and call.control[field]
  return names and (' ' .. names .. ' '):find(' ' .. name .. ' ', 1, true) ~= nil or false
end

-- A name is among them from now on, or no more.
function base.name(field, name, is)
  if base.is_named(field, name) == is then return end
  local names = {}
  for _, one in ipairs(base.named(field)) do
    if one ~= name then names[#names + 1] = one end
  end
  if is then names[#names + 1] = name end
  table.sort(names)
  base.keep(field, names[1] and table.concat(names, ' ') or false)
end

function base.flush()
  if call.kept then base.write(base.key('control'), call.kept) end
end

-- No token and no place that was ever given comes near: one beyond was written by hand, or told by a host that is mad.
base.FAR = 5e13

-- The next number of a line that only grows, also when the server comes back without the last one.
-- Its first command stops at a key of the wrong type and changes nothing else.
function base.next(name)
  local now = base.text(call.now)
  local last = base.number(redis.call('SET', base.key(name), now, 'GET'))
  if not last or last < call.now or last >= base.FAR then return call.now end
  redis.call('SET', base.key(name), base.text(last + 1))
  return last + 1
end

-- A text for people: 90500 -> 1m31s.
function base.duration(ms)
  local s = math.ceil(ms / 1000)
  if s < 60 then return s .. 's' end
  if s < 3600 then return string.format('%dm%02ds', math.floor(s / 60), s % 60) end
  return string.format('%dh%02dm', math.floor(s / 3600), math.floor(s % 3600 / 60))
end
