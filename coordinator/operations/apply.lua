-- apply: make a whole configuration true: limits, rates, accounts and weights (absent ones go), settings, the default agent.
-- Every host beats at once when the times it lives by have changed.
-- With `if_new` only in a namespace that has none yet. Answers applied{changes[{path, was?, now?}]}.
local DURATION = { is = 'integer', least = 100 }
local RATES = { reset_utc = 'line', daily_limit = 'integer', min_delay = 'integer', sustained_delay = 'integer',
  burst_window = 'integer', burst_delay = 'integer' }
local SETTINGS = { lease_ttl = DURATION, beat = DURATION, kill_grace = 'integer', max_attempts = { is = 'integer', least = 1 },
  spawn_timeout = DURATION, history = 'integer', ageing = 'integer' }
local OF_HOSTS = { lease_ttl = true, beat = true, kill_grace = true } -- what hosts learn from the answer to their beat

local function changed(changes, path, was, now)
  if was == now then return false end
  changes[#changes + 1] = { path = path, was = was, now = now }
  return true
end

-- The rates that shall be, of each pool that has some now or shall have some.
local function rates_wanted(ask)
  local wanted = {}
  for _, pool in ipairs(redis.call('SMEMBERS', base.key('paced'))) do wanted[pool] = {} end
  for pool, rates in pairs(ask.rates) do wanted[pool] = rates end
  return wanted
end

-- The accounts that shall be, of each pool that has some now or shall have some, as a text for the change; and the pools in order.
local function accounts_wanted(ask)
  local wanted, pools = {}, {}
  for _, pool in ipairs(accounts.pools()) do wanted[pool] = {} end
  for pool, names in pairs(ask.accounts) do wanted[pool] = base.distinct(names) end
  for pool in pairs(wanted) do pools[#pools + 1] = pool end
  table.sort(pools)
  return wanted, pools
end

local function check(ask)
  for _, limit_key in ipairs(redis.call('HKEYS', base.key('limits'))) do sound.key(limit_key) end
  for limit_key in pairs(ask.limits or {}) do sound.key(limit_key) end
  for pool, names in pairs(ask.accounts and accounts_wanted(ask) or {}) do
    base.expect('set', base.key('accounts', pool))
    sound.key('accounts:' .. pool)
    for _, name in ipairs(names) do base.expect('set', base.key('slots', 'account:' .. pool .. '/' .. name)) end
  end
  if not ask.rates then return end
  base.expect('set', base.key('paced'))
  for pool in pairs(rates_wanted(ask)) do
    base.expect('hash', base.key('rates', pool))
    sound.key(pool)
  end
end

-- In the order of their names: the walks of defaults stop at a bound, and wherever they run they stop alike.
local function apply_limits(ask, changes)
  local old, names, new = base.hash(base.key('limits')), {}, {}
  for limit_key in pairs(old) do names[#names + 1] = limit_key end
  for limit_key in pairs(ask.limits) do
    if not old[limit_key] then names[#names + 1] = limit_key end
  end
  table.sort(names)
  for _, limit_key in ipairs(names) do
    if changed(changes, 'limits.' .. limit_key, base.number(old[limit_key]), ask.limits[limit_key]) then new[#new + 1] = limit_key end
  end
  if not new[1] then return end
  ramp.limited()
  for _, limit_key in ipairs(new) do latch.set_limit(limit_key, ask.limits[limit_key]) end
  ramp.limited()
end

-- They count from the next start on.
local function apply_weights(ask, changes)
  local key, fields = base.key('weights'), {}
  local before = base.hash(key)
  for limit_key, was in pairs(before) do
    local weight = ask.weights[limit_key]
    if changed(changes, 'weights.' .. limit_key, base.number(was), weight) then fields[limit_key] = weight or false end
  end
  for limit_key, weight in pairs(ask.weights) do
    if not before[limit_key] and changed(changes, 'weights.' .. limit_key, nil, weight) then fields[limit_key] = weight end
  end
  base.write(key, fields)
  call.rare = nil
end

local function apply_rates(ask, changes)
  for pool, rates in pairs(rates_wanted(ask)) do
    local key, before, fields = base.key('rates', pool), #changes, {}
    local old = base.hash(key)
    for field, kind in pairs(RATES) do
      local was = kind == 'integer' and base.number(old[field]) or old[field]
      if changed(changes, 'rates.' .. pool .. '.' .. field, was, rates[field]) then fields[field] = rates[field] or false end
    end
    if #changes > before then ramp.settle(pool) end
    base.write(key, fields)
    redis.call(next(rates) and 'SADD' or 'SREM', base.key('paced'), pool)
    if #changes > before then -- what waits is judged again
      pace.forget(pool)
      latch.time(pool)
      latch.open(pool)
    end
  end
end

local function apply_accounts(ask, changes)
  local wanted, pools = accounts_wanted(ask)
  for _, pool in ipairs(pools) do
    local was, names = accounts.names(pool), wanted[pool]
    local text = names[1] and table.concat(names, ' ') or nil
    if changed(changes, 'accounts.' .. pool, was and table.concat(was, ' '), text) then accounts.set(pool, names) end
  end
end

-- Answers whether hosts must learn of it.
local function apply_settings(ask, changes, control)
  local in_force, theirs = base.settings(), false
  for field in pairs(SETTINGS) do
    local value = ask.settings[field]
    if value and changed(changes, 'settings.' .. field, in_force[field], value) then theirs = theirs or OF_HOSTS[field] end
    control[field] = value
  end
  return theirs
end

local function beat_now()
  for _, host in ipairs(redis.call('ZRANGE', base.key('hosts'), 0, -1)) do
    redis.call('PUBLISH', base.key('poke', host), 'beat')
  end
end

local function contradiction(settings)
  local ttl = settings.lease_ttl or base.setting('lease_ttl')
  local least = 3 * (settings.beat or base.setting('beat')) + (settings.kill_grace or base.setting('kill_grace'))
  if ttl >= least then return nil end
  return { outcome = 'invalid', problems = { { field = 'settings.lease_ttl', problem = 'must be at least 3 beats and kill_grace: ' ..
    string.format('%.0f', least) .. ' ms, got ' .. string.format('%.0f', ttl), fix = 'raise lease_ttl or shorten beat' } } }
end

verb.register {
  name = 'apply', writes = true,
  question = { limits = { is = 'map', names = 'key', of = 'integer' },
    rates = { is = 'map', names = 'pool', of = { is = 'shape', fields = RATES } },
    accounts = { is = 'map', names = 'pool', of = { is = 'list', of = 'account', most = accounts.MOST } },
    weights = { is = 'map', names = 'key', of = { is = 'integer', least = 1, most = 1000 } },
    settings = { is = 'shape', fields = SETTINGS }, default_agent = 'agent', by = 'line', if_new = 'boolean' },
  answer = function(ask)
    local changes = {}
    if ask.if_new and call.control.schema then return { outcome = 'applied', changes = changes } end
    local wrong = contradiction(ask.settings or {})
    if wrong then return wrong end
    check(ask)
    local control = { schema = '1' }
    local theirs = ask.settings and apply_settings(ask, changes, control)
    if ask.default_agent and changed(changes, 'default_agent', call.control.default_agent, ask.default_agent) then
      control.default_agent = ask.default_agent
    end
    base.write(base.key('control'), control)
    for field, value in pairs(control) do call.control[field] = value end -- the grants of this call go by them
    if theirs then beat_now() end
    if ask.limits then apply_limits(ask, changes) end
    if ask.rates then apply_rates(ask, changes) end
    if ask.accounts then apply_accounts(ask, changes) end
    if ask.weights then apply_weights(ask, changes) end
    table.sort(changes, function(a, b) return a.path < b.path end)
    if #changes > 0 then facts.tell('ConfigChanged', { changes = changes, by = ask.by }) end
    return { outcome = 'applied', changes = changes }
  end,
}
