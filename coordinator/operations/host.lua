-- host: quiet a host (it takes no new grants), thaw it, or forget it. A host that still holds runs is forgotten only with
-- `dead`: the operator's word that the machine is dead replaces the proof, and its runs are queued again, but those that somebody killed.
-- Answers set{host, state, requeued?, more?}, refused{refusal}, unknown.
local function forget(ask)
  local names = redis.call('SRANDMEMBER', base.key('held', ask.host), 64)
  table.sort(names)
  if #names > 0 and not ask.dead then
    return { outcome = 'refused', refusal = { key = ask.host, reason = 'full', used = redis.call('SCARD', base.key('held', ask.host)),
      holders = base.list(names), text = 'host ' .. ask.host .. ' still holds runs: end them, or say that the machine is dead' } }
  end
  sound.matching(ask.host)
  for _, name in ipairs(names) do
    sound.ending(name, 'queued')
    sound.ending(name, 'failed')
  end
  if redis.call('EXISTS', base.key('host', ask.host)) == 1 then -- between two parts it is given nothing
    base.write(base.key('host', ask.host), { quiet = '1' })
  end
  local requeued = {}
  for _, name in ipairs(names) do
    local row = lease.record(name)
    if row and row.status == 'running' and row.host == ask.host then
      facts.tell('AgentLost', { workspace = name, host = ask.host, token = base.number(row.token), reason = 'its host was said to be dead' })
      if row.kill then
        lease.finish(name, row, 'failed', { verdict = 'killed', question = 'killed; its host was said to be dead' })
      else
        if lease.requeue(name, row, {}) == 'queued' then requeued[#requeued + 1] = name end
      end
    else
      redis.call('SREM', base.key('held', ask.host), name)
    end
  end
  if redis.call('EXISTS', base.key('held', ask.host)) == 1 then
    return { outcome = 'set', host = ask.host, state = 'forgetting', requeued = requeued, more = true }
  end
  hosts.pass_on(ask.host, hosts.unmatch(ask.host))
  redis.call('ZREM', base.key('hosts'), ask.host)
  redis.call('ZREM', base.key('poked'), ask.host)
  redis.call('DEL', base.key('host', ask.host))
  base.name('expected', ask.host, false)
  hosts.settle()
  return { outcome = 'set', host = ask.host, state = 'forgotten', requeued = requeued }
end

verb.register {
  name = 'host', writes = true, frees = true,
  question = { host = { is = 'host', must = true }, action = { is = 'action', must = true }, dead = 'boolean', by = 'line' },
  answer = function(ask)
    sound.claimer(ask.host)
    local expected = ask.action == 'forget' and base.is_named('expected', ask.host)
    if not expected and redis.call('EXISTS', base.key('host', ask.host)) + redis.call('EXISTS', base.key('held', ask.host)) == 0 then
      return { outcome = 'unknown', host = ask.host }
    end
    if ask.action == 'forget' then return forget(ask) end
    if redis.call('EXISTS', base.key('host', ask.host)) == 0 then return { outcome = 'unknown', host = ask.host } end -- an asker
    base.write(base.key('host', ask.host), { quiet = ask.action == 'quiet' and '1' or false })
    if ask.action == 'quiet' then
      hosts.leave(ask.host)
    else
      offers.room(ask.host)
    end
    return { outcome = 'set', host = ask.host, state = ask.action == 'quiet' and 'quiet' or 'live' }
  end,
}
