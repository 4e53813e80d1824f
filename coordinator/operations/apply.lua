-- apply: make a whole configuration true: limits (absent ones go), rates, settings, the default agent.
-- With `if_new` only in a namespace that has none yet. Answers applied{changes[{path, was?, now?}]}.
local DURATION = { is = 'integer', least = 100 }
local RATES = { reset_utc = 'line', daily_limit = 'integer', min_delay = 'integer', sustained_delay = 'integer',
  burst_window = 'integer', burst_delay = 'integer' }
local SETTINGS = { lease_ttl = DURATION, beat = DURATION, kill_grace = 'integer', max_attempts = { is = 'integer', least = 1 },
  spawn_timeout = DURATION, history = 'integer' }

local function changed(changes, path, was, now)
  if was == now then return false end
  changes[#changes + 1] = { path = path, was = was, now = now }
  return true
end

local function check(ask)
  for _, limit_key in ipairs(redis.call('HKEYS', base.key('limits'))) do sound.key(limit_key) end
  for limit_key in pairs(ask.limits or {}) do sound.key(limit_key) end
  for pool in pairs(ask.rates or {}) do base.expect('hash', base.key('rates', pool)) end
end

local function apply_limits(ask, changes)
  for limit_key, was in pairs(base.hash(base.key('limits'))) do
    if not ask.limits[limit_key] and changed(changes, 'limits.' .. limit_key, base.number(was), nil) then latch.set_limit(limit_key, nil) end
  end
  for limit_key, limit in pairs(ask.limits) do
    local was = base.number(redis.call('HGET', base.key('limits'), limit_key))
    if changed(changes, 'limits.' .. limit_key, was, limit) then latch.set_limit(limit_key, limit) end
  end
end

local function apply_rates(ask, changes)
  for pool, rates in pairs(ask.rates) do
    local key = base.key('rates', pool)
    local old, fields = base.hash(key), {}
    for field in pairs(RATES) do
      local now = rates[field] and (type(rates[field]) == 'number' and string.format('%.0f', rates[field]) or rates[field]) or nil
      if changed(changes, 'rates.' .. pool .. '.' .. field, old[field], now) then fields[field] = now or false end
    end
    base.write(key, fields)
  end
end

local function contradiction(settings)
  local ttl = settings.lease_ttl or base.setting('lease_ttl', 300000)
  local least = 3 * (settings.beat or base.setting('beat', 10000)) + (settings.kill_grace or base.setting('kill_grace', 15000))
  if ttl >= least then return nil end
  return { outcome = 'invalid', problems = { { field = 'settings.lease_ttl', problem = 'must be at least 3 beats and kill_grace: ' ..
    string.format('%.0f', least) .. ' ms, got ' .. string.format('%.0f', ttl), fix = 'raise lease_ttl or shorten beat' } } }
end

verb.register {
  name = 'apply', writes = true,
  question = { limits = { is = 'map', names = 'key', of = 'integer' },
    rates = { is = 'map', names = 'agent', of = { is = 'shape', fields = RATES } },
    settings = { is = 'shape', fields = SETTINGS }, default_agent = 'agent', by = 'line', if_new = 'boolean' },
  answer = function(ask)
    local changes = {}
    if ask.if_new and call.control.schema then return { outcome = 'applied', changes = changes } end
    local wrong = contradiction(ask.settings or {})
    if wrong then return wrong end
    check(ask)
    local control = { schema = '1' }
    for field in pairs(SETTINGS) do
      local value = ask.settings and ask.settings[field]
      if value and changed(changes, 'settings.' .. field, base.number(call.control[field]), value) then control[field] = value end
    end
    if ask.default_agent and changed(changes, 'default_agent', call.control.default_agent, ask.default_agent) then
      control.default_agent = ask.default_agent
    end
    base.write(base.key('control'), control)
    for field, value in pairs(control) do call.control[field] = value end -- the grants of this call go by them
    if ask.limits then apply_limits(ask, changes) end
    if ask.rates then apply_rates(ask, changes) end
    table.sort(changes, function(a, b) return a.path < b.path end)
    if #changes > 0 then facts.tell('ConfigChanged', { changes = changes, by = ask.by }) end
    return { outcome = 'applied', changes = changes }
  end,
}
