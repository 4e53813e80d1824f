-- status: the whole fleet at a glance. Read-only.
-- Answers status{frozen?, settling?, counts, running, queued, completed, failed, total,
-- keys[{key, used, limit?, inherited?, until?, reason?, fast_failures?, ramp?{allowance, granted}}], hosts, settings, rates?{pool: {...}},
-- accounts?{pool: []},
-- weights?{key: number}, summary?{pool: {counts, ms, cost_usd}} of the records that were forgotten,
-- unserved[{route, lanes, since, text, until?}], unserved_more?}: work that no host can serve. faults?: see reap.
local STATUSES = { 'queued', 'running', 'completed', 'merged', 'ready-for-review', 'failed', 'blocked' }

local function keys_of_interest()
  local wanted, out = { ['*'] = true }, {}
  for _, name in ipairs { 'limits', 'backoff', 'frozen', 'next_start', 'fail_count', 'ramp' } do
    for limit_key in pairs(base.hash(base.key(name))) do wanted[limit_key] = true end
  end
  for _, pool in ipairs(accounts.pools()) do
    for _, member in ipairs(accounts.members(pool)) do wanted[member] = true end
  end
  for limit_key in pairs(wanted) do
    if question.is_key(limit_key) then out[#out + 1] = limit_key end -- else written by hand, and no key of anything
  end
  table.sort(out)
  return out
end

-- What stands before the colon, where a pool of that name has started something: then the key is that of a model.
local function pool_of(limit_key)
  local kind = limit_key:match('^([^:]+):') or limit_key
  return pace.known(kind) and kind or ''
end

local function key_view(limit_key)
  local no = gates.refuses(limit_key, pool_of(limit_key))
  local limit = gates.limit(limit_key) or nil
  return { key = limit_key, used = gates.used(limit_key), limit = limit,
    inherited = limit and not base.number(redis.call('HGET', base.key('limits'), limit_key)) and true or nil,
    ['until'] = no and no['until'] or nil, reason = no and no.reason or nil, text = no and no.text or nil,
    fast_failures = base.number(redis.call('HGET', base.key('fail_count'), limit_key)),
    ramp = ramp.view(limit_key),
    waiting = redis.call('ZSCORE', base.key('blocked'), limit_key) and true or nil }
end

verb.register {
  name = 'status', question = {},
  answer = function()
    local counts = {}
    for _, status in ipairs(STATUSES) do counts[status] = redis.call('ZCARD', base.key('status', status)) end
    local freeze = gates.freeze_of('*')
    local keys = {}
    for _, limit_key in ipairs(keys_of_interest()) do keys[#keys + 1] = key_view(limit_key) end
    local nobodys, more = unserved.routes()
    local completed = counts.completed + counts.merged + counts['ready-for-review']
    local failed = counts.failed + counts.blocked
    return { outcome = 'status', new = not call.control.schema or nil,
      frozen = freeze and true or false, freeze = base.some(freeze),
      settling = gates.settling(), counts = counts, running = counts.running, queued = counts.queued,
      completed = completed, failed = failed, total = counts.running + counts.queued + completed + failed,
      unserved = nobodys, unserved_more = more, faults = base.number(call.control.faults),
      keys = keys, hosts = redis.call('ZCARD', base.key('hosts')), default_agent = call.control.default_agent,
      summary = history.summary(),
      next_timer = later.first('timers'),
      settings = base.settings(), rates = pace.rates(), accounts = accounts.all(), weights = base.some(base.numbers(base.key('weights'))),
      now = call.now }
  end,
}
