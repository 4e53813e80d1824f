-- hosts: every host, what it can serve and what it holds. Read-only. Answers hosts{hosts[]}.

local function view(host)
  local row = base.hash(base.key('host', host))
  local beat = base.count(row.beat)
  local state = row.quiet and 'quiet' or 'live'
  if hosts.is_silent(beat) then state = 'silent' end
  return { host = host, state = state, beat = beat, slots = base.count(row.slots), mode = row.mode, machine = row.machine,
    held = base.list(redis.call('SMEMBERS', base.key('held', host))), pools = base.parse(row.pools) or {}, labels = base.parse(row.labels) or {},
    waiting = base.number(row.waiting), freeze = base.some(freezes.of(host)), incarnation = row.incarnation, trouble = row.trouble }
end

verb.register {
  name = 'hosts', question = {},
  answer = function()
    local out = {}
    for _, host in ipairs(redis.call('ZRANGE', base.key('hosts'), 0, -1)) do out[#out + 1] = view(host) end
    table.sort(out, function(a, b) return a.host < b.host end)
    return { outcome = 'hosts', hosts = out, now = call.now }
  end,
}
