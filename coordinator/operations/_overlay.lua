-- An overlay: verbs run as they are, and nothing is written. What they would write is kept beside the keys for the length of a
-- call; what they read is what stands, with that laid over it. So "what would start" is answered by the rules that start it.
-- Of a key only what was written is kept: {kind, of = {member = value, or false when it is gone}, wiped, touched, more}:
-- how many members were touched, and how many more there are than stand in the key. A long lane is never read whole.
local kept, told, real

local function text(value)
  if type(value) ~= 'number' then return value end
  return string.format(value == math.floor(value) and '%.0f' or '%.17g', value)
end

local STANDS = {
  hash = function(key, member) return real('HGET', key, member) end,
  zset = function(key, member) return tonumber(real('ZSCORE', key, member) or nil) or false end,
  set = function(key, member) return real('SISMEMBER', key, member) == 1 end,
}
local COUNT = { hash = 'HLEN', zset = 'ZCARD', set = 'SCARD' }

-- The value of a member; false for none.
local function value_of(kind, key, member)
  local one = kept[key]
  local value = one and one.of[text(member)]
  if value ~= nil then return value end
  return not (one and one.wiped) and STANDS[kind](key, member)
end

local function count_of(kind, key)
  local one = kept[key]
  return (one and one.more or 0) + (one and one.wiped and 0 or real(COUNT[kind], key))
end

-- Answers 1 when the member is new or gone by this, as SADD and SREM do.
local function put(kind, key, member, value)
  local was = value_of(kind, key, member)
  local one = kept[key] or { kind = kind, of = {}, touched = 0, more = 0 }
  member = text(member)
  if one.of[member] == nil then one.touched = one.touched + 1 end
  one.of[member], kept[key] = value, one
  local step = (value and 1 or 0) - (was and 1 or 0)
  one.more = one.more + step
  return math.abs(step)
end

-- The same of several members: a writer of this kind, that gives each of them this value.
local function puts(kind, value)
  return function(key, ...)
    local changed = 0
    for _, member in ipairs { ... } do changed = changed + put(kind, key, member, value) end
    return changed
  end
end

local function there(key)
  local one = kept[key]
  if not one then return real('EXISTS', key) == 1 end
  return one.kind == 'string' and one.value ~= false or one.kind ~= 'string' and count_of(one.kind, key) > 0
end

-- Entries of a sorted set as {member, score}, in order: of those that stand, `fetch(n)` reads as many as may be wanted.
local function entries(key, most, fetch, fits)
  local one, out = kept[key], {}
  local flat = not one.wiped and fetch(most and most + one.touched) or {}
  for i = 1, #flat, 2 do
    if one.of[flat[i]] == nil then out[#out + 1] = { flat[i], tonumber(flat[i + 1]) } end
  end
  for member, score in pairs(one.of) do
    if score and (not fits or fits(member, score)) then out[#out + 1] = { member, score } end
  end
  table.sort(out, function(a, b)
    if a[2] ~= b[2] then return a[2] < b[2] end
    return base.before(a[1], b[1])
  end)
  return out
end

local function flat_of(found, first, last, scores)
  local out = {}
  for i = first, math.min(last, #found) do
    out[#out + 1], out[#out + 2] = found[i][1], scores and text(found[i][2]) or nil
  end
  return out
end

local function members(key, flat)
  local one, out = kept[key], {}
  for _, member in ipairs(one.wiped and {} or flat) do
    if one.of[member] == nil then out[#out + 1] = member end
  end
  for member, value in pairs(one.of) do
    if value then out[#out + 1] = member end
  end
  table.sort(out, base.before)
  return out
end

local function over(kind, key, ...)
  local found = {}
  for i, member in ipairs { ... } do found[i] = text(value_of(kind, key, member)) end
  return found
end

-- How a key is read in which something was written. Of any other the server is asked.
local READS = {
  HGET = function(key, field) return value_of('hash', key, field) end,
  HMGET = function(key, ...) return over('hash', key, ...) end,
  HEXISTS = function(key, field) return value_of('hash', key, field) and 1 or 0 end,
  HKEYS = function(key) return members(key, real('HKEYS', key)) end,
  SCARD = function(key) return count_of('set', key) end,
  SMEMBERS = function(key) return members(key, real('SMEMBERS', key)) end,
  ZCARD = function(key) return count_of('zset', key) end,
  ZMSCORE = function(key, ...) return over('zset', key, ...) end,
  ZSCORE = function(key, member) return text(value_of('zset', key, member)) end,
  GET = function(key) return kept[key].value end,
}

function READS.HGETALL(key)
  local out = {}
  for _, field in ipairs(READS.HKEYS(key)) do out[#out + 1], out[#out + 2] = field, value_of('hash', key, field) end
  return out
end

function READS.SRANDMEMBER(key, count)
  local found = members(key, real('SRANDMEMBER', key, count + kept[key].touched))
  while #found > count do found[#found] = nil end
  return found
end

function READS.ZRANGE(key, first, last, scores)
  local most = last >= 0 and last + 1 or nil
  local found = entries(key, most, function(count) return real('ZRANGE', key, 0, count and count - 1 or -1, 'WITHSCORES') end)
  return flat_of(found, first + 1, most or #found, scores)
end

function READS.ZRANGEBYSCORE(key, _, highest, _, _, most)
  local found = entries(key, most, function(count)
    return real('ZRANGEBYSCORE', key, '-inf', highest, 'WITHSCORES', 'LIMIT', 0, count)
  end, function(_, score) return score <= tonumber(highest) end)
  return flat_of(found, 1, most)
end

-- Of one score, as such sets are.
function READS.ZRANGEBYLEX(key, from, to, _, _, most)
  local found = entries(key, most, function(count)
    local flat = {}
    for _, member in ipairs(real('ZRANGEBYLEX', key, from, to, 'LIMIT', 0, count)) do flat[#flat + 1], flat[#flat + 2] = member, 0 end
    return flat
  end, function(member)
    local first = from:sub(2)
    return base.before(member, to:sub(2)) and (base.before(first, member) or (from:sub(1, 1) == '[' and first == member))
  end)
  return flat_of(found, 1, most)
end

local WRITES = { HDEL = puts('hash', false), SADD = puts('set', true), SREM = puts('set', false), ZREM = puts('zset', false) }

function WRITES.HSET(key, ...)
  local args = { ... }
  for i = 1, #args, 2 do put('hash', key, args[i], text(args[i + 1])) end
end

function WRITES.ZADD(key, how, ...)
  local args = { ... }
  local stands = how == 'NX' or how == 'XX'
  if not stands then table.insert(args, 1, how) end
  for i = 1, #args, 2 do
    local has = stands and value_of('zset', key, args[i + 1]) ~= false
    if not stands or has == (how == 'XX') then put('zset', key, args[i + 1], tonumber(args[i])) end
  end
end

function WRITES.SET(key, value, how)
  local was = how == 'GET' and (kept[key] and kept[key].value)
  if how == 'GET' and was == nil then was = real('GET', key) end
  kept[key] = { kind = 'string', value = text(value) }
  return was
end

function WRITES.XADD(_, ...)
  local args = { ... }
  told[#told + 1] = { type = args[#args - 2], json = args[#args] }
  return '0-0'
end

-- Nobody hears of what is only supposed. A host that is there would hear its poke.
function WRITES.PUBLISH(channel)
  local host = channel:match('^' .. base.key('poke', ''):gsub('%p', '%%%0') .. '(.+)$')
  return host and hosts.lives(host) and 1 or 0
end

local MANY = { TYPE = true, TIME = true, ZINTERCARD = true, SINTERCARD = true, -- asked of what stands
  PERSIST = function() end, ZRANDMEMBER = function() return {} end } -- nothing goes by itself meanwhile

function MANY.EXISTS(...)
  local count = 0
  for _, key in ipairs { ... } do count = count + (there(key) and 1 or 0) end
  return count
end

function MANY.MGET(...)
  local found = real('MGET', ...)
  for i, key in ipairs { ... } do
    if kept[key] then found[i] = kept[key].value end
  end
  return found
end

function MANY.DEL(...)
  for _, key in ipairs { ... } do
    local kind = kept[key] and kept[key].kind
    kind = kind or redis.call('TYPE', key).ok
    kept[key] = { kind = kind, of = {}, touched = 0, more = 0, wiped = true, value = false }
  end
end

function overlay.ask(command, ...)
  if MANY[command] == true then return real(command, ...) end
  local how = MANY[command] or WRITES[command]
  if how then return how(...) end
  if not READS[command] then error('nothing is known of ' .. command .. ': see _overlay.lua', 0) end
  if kept[(...)] then return READS[command](...) end
  return real(command, ...)
end

-- What was told so far: the facts of a type, oldest first.
function overlay.told(kind)
  local out = {}
  for _, fact in ipairs(told) do
    if fact.type == kind then out[#out + 1] = base.parse(fact.json) end
  end
  return out
end

-- Begins with nothing written; `asked` asks the server.
function overlay.begin(asked) kept, told, real = {}, {}, asked end
