-- Freezes of a host: its key `host:<name>` is frozen as any other is, by somebody, for a reason, perhaps until a time.
-- A frozen host is given nothing, neither what it claims, nor what is pushed, nor what it asks for itself; what it runs stays.
local function key_of(host) return 'host:' .. host end

local function host_of(limit_key) return limit_key:match('^host:(.+)$') end

local function text_of(value) return type(value) == 'string' and value or nil end

-- A freeze as it is kept; what was edited into something else by hand is left out, and it is frozen all the same.
function freezes.read(text)
  local kept = base.parse(text) or {}
  return { by = text_of(kept.by), reason = text_of(kept.reason), at = base.number(kept.at), ['until'] = base.number(kept['until']) }
end

-- What is frozen, by whom and why, for people.
function freezes.text(what, freeze)
  return what .. ' is frozen' .. (freeze.by and ' by ' .. freeze.by or '') .. (freeze.reason and ': ' .. freeze.reason or '')
end

-- The freeze of a host, or nil.
function freezes.of(host)
  if call.rare == false then return nil end -- nothing is frozen
  return gates.freeze_of(key_of(host))
end

-- Why a host is given nothing, or nil.
function freezes.refuses(host)
  local freeze = freezes.of(host)
  if not freeze then return nil end
  local key = key_of(host)
  return { key = key, reason = 'frozen', text = freezes.text(key, freeze), used = 0, ['until'] = freeze['until'] }
end

-- Of two refusals of hosts that which ends first.
function freezes.sooner(one, other)
  if not other then return one end
  local a, b = one['until'] or math.huge, other['until'] or math.huge
  if a ~= b then return a < b and one or other end
  return one.key < other.key and one or other
end

-- What the freeze of a key may change besides the key.
function freezes.check(limit_key)
  local host = host_of(limit_key)
  if host then sound.claimer(host) end
end

-- A key was frozen: a host waits for nothing any more. What it was poked for is the next one's when it asks, or does not.
function freezes.began(limit_key)
  local host = host_of(limit_key)
  if host and freezes.of(host) and redis.call('HEXISTS', base.key('host', host), 'waiting') == 1 then hosts.leave(host) end
end

-- A key may admit again: a host looks for work at once, or is handed some.
function freezes.ended(limit_key)
  local host = host_of(limit_key)
  if host and not freezes.of(host) and redis.call('EXISTS', base.key('host', host)) == 1 then offers.room(host) end
end
