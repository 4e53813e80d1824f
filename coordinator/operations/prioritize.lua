-- prioritize: another priority for one that waits. It keeps its place among those of the new priority.
-- Answers prioritized{was, now, place}, unknown, already{status} for one that does not wait.
verb.register {
  name = 'prioritize', writes = true,
  question = { workspace = { is = 'workspace', must = true }, priority = { is = 'integer', must = true, most = 9 }, by = 'line' },
  answer = function(ask)
    local name = ask.workspace
    local few = sound.record(name)
    if not few then return { outcome = 'unknown' } end
    if few.status ~= 'queued' or not few.lane then return { outcome = 'already', status = few.status } end
    sound.run(name, few, nil, 'queued')
    local row = lease.record(name)
    local was = base.number(row.priority) or 5
    row.priority = ask.priority
    local lane = lease.lane(row, lease.named_keys(row)) -- the band is part of it
    local stands = redis.call('ZSCORE', base.key('lane', row.lane), name)
    local waits_for_its_time = not stands and redis.call('ZSCORE', base.key('later'), name)
    sound.lane(lane)
    if lane ~= row.lane then queue.remove(name, row.lane) end
    base.write(base.key('workspace', name), { priority = ask.priority, lane = lane })
    if not waits_for_its_time and (lane ~= row.lane or not stands) then
      queue.add(name, lane, base.number(row.place) or base.next('place'))
    end
    if was ~= ask.priority then facts.tell('Prioritized', { workspace = name, was = was, now = ask.priority, by = ask.by }) end
    local before = redis.call('ZRANK', base.key('lane', lane), name)
    return { outcome = 'prioritized', was = was, now = ask.priority, place = before and before + 1 or 0 }
  end,
}
