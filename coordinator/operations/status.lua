-- status: the whole fleet at a glance. Read-only.
-- Answers status{frozen?, settling?, counts, running, queued, completed, failed, total, keys[{key, used, limit?, until?, reason?}],
-- hosts, summary?{pool: {counts, ms, cost_usd}} of the records that were forgotten}.
local STATUSES = { 'queued', 'running', 'completed', 'merged', 'ready-for-review', 'failed', 'blocked' }

local function keys_of_interest()
  local wanted, out = { ['*'] = true }, {}
  for _, name in ipairs { 'limits', 'backoff', 'frozen' } do
    for limit_key in pairs(base.hash(base.key(name))) do wanted[limit_key] = true end
  end
  for limit_key in pairs(wanted) do out[#out + 1] = limit_key end
  table.sort(out)
  return out
end

local function key_view(limit_key)
  local no = gates.refuses(limit_key)
  local shut = gates.shut_until(limit_key)
  local freeze = gates.freeze_of(limit_key)
  return { key = limit_key, used = gates.used(limit_key), limit = gates.limit(limit_key) or nil,
    ['until'] = shut > 0 and shut or (freeze and freeze['until']) or nil, reason = no and no.reason or nil, text = no and no.text or nil,
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
    local completed = counts.completed + counts.merged + counts['ready-for-review']
    local failed = counts.failed + counts.blocked
    return { outcome = 'status', new = not call.control.schema or nil,
      frozen = freeze and true or false, freeze = freeze and next(freeze) and freeze or nil,
      settling = gates.settling(), counts = counts, running = counts.running, queued = counts.queued,
      completed = completed, failed = failed, total = counts.running + counts.queued + completed + failed,
      keys = keys, hosts = redis.call('ZCARD', base.key('hosts')), default_agent = call.control.default_agent,
      summary = history.summary(),
      next_timer = base.number(redis.call('ZRANGE', base.key('timers'), 0, 0, 'WITHSCORES')[2]),
      settings = { lease_ttl = base.setting('lease_ttl', 300000), beat = base.setting('beat', 10000),
        kill_grace = base.setting('kill_grace', 15000),
        max_attempts = base.setting('max_attempts', 3), spawn_timeout = base.setting('spawn_timeout', 60000),
        history = base.setting('history', 1000) },
      now = call.now }
  end,
}
