-- apply: make a whole configuration true: limits, rates, accounts and weights (absent ones go), settings, the default agent.
-- Every host beats at once when the times it lives by have changed. A call does a part: with `more`, ask the same again.
-- With `if_new` only in a namespace that has none yet; a part is none. `hosts`: those that must have told all that they hold before
-- anything is granted, where the server came back empty. `thaw`: with the last part, but not where somebody has frozen the fleet since;
-- without `hosts`, until a host tells of a run that such a namespace can not know (see restore). What one made who
-- remembers nothing is as good as none for whoever remembers (`hosts`), in that epoch, until somebody sets something.
-- Answers applied{changes[{path, was?, now?}], more?}.
local DURATION = { is = 'integer', least = 100 }
local SETTINGS = { lease_ttl = DURATION, beat = DURATION, kill_grace = 'integer', max_attempts = { is = 'integer', least = 1 },
  spawn_timeout = DURATION, history = 'integer', ageing = 'integer' }
local OF_HOSTS = { lease_ttl = true, beat = true, kill_grace = true } -- what hosts learn from the answer to their beat

local function changed(changes, path, was, now)
  if was == now then return false end
  changes[#changes + 1] = { path = path, was = was, now = now }
  return true
end

-- Answers which of them have changed that hosts must learn.
local function apply_settings(asked, changes, control)
  local in_force, theirs = base.settings(), {}
  for field in pairs(SETTINGS) do
    local value = asked[field]
    if value and changed(changes, 'settings.' .. field, in_force[field], value) then theirs[field] = OF_HOSTS[field] end
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
    rates = { is = 'map', names = 'pool', of = { is = 'shape', fields = pace.FIELDS } },
    accounts = { is = 'map', names = 'pool', of = { is = 'list', of = 'account', most = accounts.MOST } },
    weights = { is = 'map', names = 'key', of = { is = 'integer', least = 1, most = 1000 } },
    settings = { is = 'shape', fields = SETTINGS }, default_agent = 'agent', by = 'line', if_new = 'boolean',
    hosts = { is = 'list', of = 'host', most = 1024 }, thaw = 'boolean' },
  answer = function(ask)
    local changes = {}
    if ask.if_new and call.control.schema and not (ask.hosts and latch.is_blind()) then return { outcome = 'applied', changes = changes } end
    local wrong = contradiction(ask.settings or {})
    if wrong then return wrong end
    if ask.thaw then sound.key('*') end
    local part, more = plan.find(ask)
    local control = { schema = not more and '1' or nil }
    local theirs = apply_settings(ask.settings or {}, changes, control)
    if ask.default_agent and changed(changes, 'default_agent', call.control.default_agent, ask.default_agent) then
      control.default_agent = ask.default_agent
    end
    base.write(base.key('control'), control)
    for field, value in pairs(control) do call.control[field] = value end -- the grants of this call go by them
    if next(theirs) then beat_now() end
    if theirs.lease_ttl then hosts.lease_changed() end
    plan.take(part, changes)
    if not more then base.keep('blind', ask.if_new and not ask.hosts and call.control.epoch or false) end
    if ask.hosts and not more then hosts.expect(ask.hosts) end
    if ask.thaw and not more then latch.begin(ask.by, ask.hosts ~= nil) end
    table.sort(changes, function(a, b) return a.path < b.path end)
    if #changes > 0 then facts.tell('ConfigChanged', { changes = changes, by = ask.by }) end
    return { outcome = 'applied', changes = changes, more = more or nil }
  end,
}
