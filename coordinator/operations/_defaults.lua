-- Defaults by kind: `<kind>:*` has the limit of every key `<kind>:...` that has none of its own.
-- A default that changes is felt by all of them: those that keep something waiting are judged again, so many a call.
local MOST_REOPENED = 64

-- The key of its default; nil for a key without a kind, and for a default.
function defaults.of(limit_key)
  local kind, name = limit_key:match('^([^:]+:)(.+)$')
  return kind and name ~= '*' and kind .. '*' or nil
end

-- Why a default is not frozen and does not back off, as an answer, or nil: it is one of limits, and would shut nothing.
function defaults.wrong(limit_key)
  if not limit_key:find('^[^:]+:%*$') then return nil end
  return { outcome = 'invalid', problems = { { field = 'key', problem = limit_key .. ' is a default of limits: it shuts nothing',
    fix = 'name the keys themselves, such as repo:core/go-io, or * for everything' } } }
end

local function kind_of(position) return position:match('^[^:]+:') end

-- `opening` remembers how far each walk has come, one a kind, the next to go on first: 'repo:core/web team:'.
-- No limit key holds a space, and one that is nothing but its kind has no default.
local function pending()
  local text, walks = call.rare ~= false and redis.call('GET', base.key('opening')), {}
  if not text then return walks, false end
  for _, position in ipairs(base.split(text, ' ')) do
    if kind_of(position) then walks[#walks + 1] = position end
  end
  return walks, true
end

-- Whoever calls next goes on with what is left, and the replicas are told to.
local function go_on(walks)
  while walks[1] do
    local room = MOST_REOPENED - (call.reopened or 0)
    if room <= 0 then break end
    local last = '(' .. kind_of(walks[1]):sub(1, -2) .. ';' -- the character after the colon
    local found = redis.call('ZRANGEBYLEX', base.key('blocked'), '(' .. walks[1], last, 'LIMIT', 0, room)
    for _, limit_key in ipairs(found) do
      if sound.holds(sound.key, limit_key) then latch.open(limit_key) end
    end
    call.reopened = (call.reopened or 0) + #found
    if #found == room then walks[1] = found[room] else table.remove(walks, 1) end
  end
  if walks[1] then
    redis.call('SET', base.key('opening'), table.concat(walks, ' '))
    call.rare = nil
    facts.due(call.now)
  else
    redis.call('DEL', base.key('opening'))
  end
end

function defaults.walk()
  local walks, any = pending()
  if any then go_on(walks) end
end

-- The limit of this key was changed: where it is a default, its kind is walked from the start, before what else is under way.
function defaults.changed(limit_key)
  local kind = limit_key:match('^([^:]+:)%*$')
  if not kind then return end
  local walks = { kind, kind == 'account:' and 'accounts:' or nil } -- what waits for any account waits under their group
  for _, position in ipairs((pending())) do
    if kind_of(position) ~= walks[1] and kind_of(position) ~= walks[2] then walks[#walks + 1] = position end
  end
  go_on(walks)
end
