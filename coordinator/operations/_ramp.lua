-- Ramp: a key whose gate the clock has opened does not burst. One run goes first; while all that was granted holds, 2 more go, then 4, 8 ...
-- A step counts grants, not holders. A run holds when it is alive a minute after its start or has ended by itself without a limit;
-- one that somebody ended, that was lost, or that met a limit elsewhere gives its grant back. When the last of a step holds, the next
-- begins a moment later, which differs by key: at most SPREAD. The end of the gate itself is followed by such a moment too.
-- A row of `ramp`: allowance, granted, not before (ms), the end of the gate (ms), then who is on trial: name=when it will hold (ms).
-- What the clock alone changes is reckoned by every reader, and written by whoever changes the row next.
local MINUTE, HOUR, SPREAD, MOST = 60000, 3600000, 2000, 64

local function jitter(limit_key, since, allowance)
  local text = string.format('%s %s %.0f %.0f', call.root, limit_key, since, allowance)
  return tonumber(server().sha1hex(text):sub(1, 8), 16) % SPREAD
end

-- No moment of a row lies far ahead: one that does was edited by hand, or the clock was set back. It must not shut a key for long.
local function parse(text)
  local words, state = base.split(text, ' '), { text = text, trial = {} }
  for i, field in ipairs { 'allowance', 'granted', 'opens', 'since' } do
    local value = base.number(words[i])
    if not value or value < 0 then return { text = text } end
    state[field] = math.floor(value)
  end
  if state.allowance < 1 or state.opens > call.now + HOUR then return { text = text } end
  for i = 5, #words do
    local name, minute = words[i]:match('^(.+)=(%d+)$')
    minute = base.number(minute)
    if minute and minute <= call.now + HOUR then state.trial[name] = minute end
  end
  return state
end

local function encode(state)
  local words, names = {}, {}
  for i, field in ipairs { 'allowance', 'granted', 'opens', 'since' } do words[i] = string.format('%.0f', state[field]) end
  for name in pairs(state.trial) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do words[#words + 1] = name .. '=' .. string.format('%.0f', state.trial[name]) end
  return table.concat(words, ' ')
end

-- What was seen of a key in this call; its gate also when it is over: the ramp begins with it.
local function seen(limit_key)
  if not call.seen[limit_key] then gates.see({ limit_key }) end
  return call.seen[limit_key]
end

-- The row of a key, as it was written.
local function stored(limit_key)
  local key = seen(limit_key)
  if key.row == nil then key.row = key.ramp and parse(key.ramp) or false end
  return key.row or nil
end

-- When all that are on trial will have held; 0 for nobody.
local function holds_at(state)
  local last = 0
  for _, minute in pairs(state.trial) do last = math.max(last, minute) end
  return last
end

local function step(limit_key, since, allowance, from)
  return { allowance = allowance, granted = 0, since = since, opens = from + jitter(limit_key, since, allowance), trial = {} }
end

local function next_step(limit_key, state)
  local last = holds_at(state)
  return step(limit_key, state.since, state.allowance * 2, last > 0 and last or state.opens)
end

-- When the gate of a key was over that the clock has opened: its back-off, or the used-up quota of a pool. 0: there was none; nil: it is shut.
local function opened(limit_key)
  local gate = seen(limit_key).shut
  if gate > call.now then return nil end
  return math.floor(math.max(gate, pace.lapsed(limit_key) or 0))
end

-- When it is over where nobody uses the key: of two that could begin, the one of the earlier end does not come up behind the other.
local function ends_at(state)
  return math.max((state.allowance > 1 and state.opens or state.since) + HOUR, holds_at(state))
end

local function is_over(limit_key, state)
  local limit = gates.limit(limit_key)
  if state.allowance > 1 and state.allowance > math.min(MOST, limit or MOST) then return true end
  return call.now >= ends_at(state)
end

-- The ramp of a key as it is now; nil without one.
local function at_now(limit_key)
  local ended = opened(limit_key)
  if not ended or (ended == 0 and not seen(limit_key).ramp and not seen(limit_key).row) then return nil end
  local state = stored(limit_key)
  if state and not state.allowance then state = nil end
  if ended > (state and state.since or 0) then state = step(limit_key, ended, 1, ended) end
  if state and state.granted >= state.allowance and holds_at(state) <= call.now then state = next_step(limit_key, state) end
  if not state or is_over(limit_key, state) then return nil end
  return state
end

-- Until when the clock keeps a key shut; nil when it admits.
local function shut_until(limit_key, state)
  if state.opens > call.now then return state.opens end
  if state.granted < state.allowance then return nil end
  local after, last = next_step(limit_key, state), holds_at(state)
  return is_over(limit_key, after) and last or after.opens
end

-- Why nothing starts under this key for its ramp's sake, or nil.
function ramp.refuses(limit_key)
  local state = at_now(limit_key)
  local ends = state and shut_until(limit_key, state)
  if not ends or ends <= call.now then return nil end
  local text = limit_key .. ' has reopened: '
  if state.opens > call.now then
    text = text .. string.format('%.0f', state.allowance) .. ' may start in ' .. base.duration(ends - call.now)
  else
    text = text .. string.format('%.0f/%.0f', state.granted, state.allowance) .. ' started to try it, more when they hold, at the latest in '
      .. base.duration(ends - call.now)
  end
  return { key = limit_key, reason = 'ramp', text = text, used = state.granted, limit = state.allowance, ['until'] = ends }
end

-- For readers: {allowance, granted}.
function ramp.view(limit_key)
  local state = at_now(limit_key)
  return state and { allowance = state.allowance, granted = state.granted } or nil
end

-- Those that are on trial, ten at most.
function ramp.trying(limit_key)
  local state, names = at_now(limit_key), {}
  for name in pairs(state and state.trial or {}) do names[#names + 1] = #names < 10 and name or nil end
  table.sort(names)
  return names
end

local function save(limit_key, state)
  local was, text, key = stored(limit_key), state and encode(state) or nil, seen(limit_key)
  if text ~= (was and was.text) then base.write(base.key('ramp'), { [limit_key] = text or false }) end
  key.row = state or false
  if state then
    state.text = text
    call.rare = call.rare or nil -- there is a ramp now, where there was nothing rare
  end
  if key.shut == 0 or key.shut > call.now then return end
  redis.call('HDEL', base.key('backoff'), limit_key) -- its end is in the row, or the ramp is over
  redis.call('HDEL', base.key('backoff_reason'), limit_key)
  key.shut = 0
end

-- Writes what the clock has made of a key's ramp, before something changes that it is reckoned from, and when its timer is set.
-- Answers when the clock next changes it; nil without one. A row always has its timer.
function ramp.settle(limit_key)
  local state = at_now(limit_key)
  save(limit_key, state)
  return state and (shut_until(limit_key, state) or ends_at(state))
end

-- A row was changed: its timer follows, and what waits is looked at. A timer that was due and is moved has opened the key.
function ramp.moved(keys)
  for _, limit_key in ipairs(keys) do
    if sound.holds(sound.key, limit_key) then
      latch.time(limit_key)
      latch.open(limit_key)
    end
  end
end

local function with_all(keys) return { '*', unpack(keys) } end

-- A run starts: one grant of each of its keys that has a ramp. What runs already, on somebody's word, was not granted.
-- A host that must confirm has its `ttl` for it, and the minute begins with that. Answers the keys whose rows changed.
function ramp.start(name, keys, how)
  local changed = {}
  for _, limit_key in ipairs(with_all(keys)) do
    local state = at_now(limit_key)
    if state and not (how.tracked or how.restored) then
      state.granted = state.granted + 1
      state.trial[name] = call.now + MINUTE + (how.mode == 'push' and math.min(how.ttl, HOUR - MINUTE) or 0)
    end
    if state then
      save(limit_key, state)
      changed[#changed + 1] = limit_key
    end
  end
  return changed
end

-- A run on trial changes: `what(key, state, minute)` answers the new row of each key that has it on trial, where its step still goes on.
local function change(name, keys, what)
  local changed = {}
  for _, limit_key in ipairs(with_all(keys)) do
    local row = stored(limit_key)
    if row and row.trial and row.trial[name] and sound.holds(sound.key, limit_key) then
      local state = at_now(limit_key)
      if state and state.trial[name] then state = what(limit_key, state, state.trial[name]) end
      save(limit_key, state)
      changed[#changed + 1] = limit_key
    end
  end
  ramp.moved(changed)
end

-- A push host confirms that it starts a run: it holds a minute from now.
function ramp.confirmed(name, keys)
  change(name, keys, function(_, state, minute)
    if minute > call.now then state.trial[name] = call.now + MINUTE end
    return state
  end)
end

-- A run has ended: `by_itself`, and without a limit, it holds.
function ramp.ended(name, keys, by_itself)
  change(name, keys, function(limit_key, state, minute)
    state.trial[name] = by_itself and math.min(minute, call.now) or nil
    if not by_itself and minute > call.now then state.granted = state.granted - 1 end
    if by_itself and state.granted >= state.allowance and holds_at(state) <= call.now then
      local after = next_step(limit_key, state)
      return not is_over(limit_key, after) and after or nil
    end
    state.trial[name] = nil
    return state
  end)
end

-- An operator opens a key, or a gate is shut anew: its ramp is over at once.
function ramp.stop(limit_key)
  save(limit_key, nil)
  pace.forgive(limit_key)
end

-- The limits of these keys change: what the clock has made of their ramps by the old ones is written before, and after.
function ramp.limited(keys)
  local concerned, is_default = base.list(keys), {}
  for _, limit_key in ipairs(keys) do is_default[limit_key] = limit_key:find(':%*$') and true or nil end
  for _, one in ipairs(next(is_default) and redis.call('HKEYS', base.key('ramp')) or {}) do
    if is_default[defaults.of(one)] then concerned[#concerned + 1] = one end
  end
  for _, one in ipairs(concerned) do
    local before = stored(one)
    if sound.holds(ramp.settle, one) and (before or stored(one)) then ramp.moved { one } end
  end
end

-- A row without a timer was written by hand: a few a sweep get theirs, or go.
function ramp.tend()
  if call.rare == false then return end
  for _, limit_key in ipairs(redis.call('HRANDFIELD', base.key('ramp'), 8) or {}) do
    if not redis.call('ZSCORE', base.key('timers'), limit_key) then ramp.moved { limit_key } end
  end
end
