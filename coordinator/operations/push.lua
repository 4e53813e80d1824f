-- push: tell a notification on a channel, once for each `id`. The fact ChannelPush keeps it in the stream.
-- Answers pushed{seq}, already.
local REMEMBERED, MOST = 60000, 10000 -- ms and how many ids

-- Of all who ask with one id the first tells; functions run one at a time, so two never both find it missing.
-- An id that comes again after a minute, or after 10,000 others, is told again.
local function is_new(id)
  redis.call('ZREMRANGEBYSCORE', base.key('pushed'), '-inf', string.format('%.0f', call.now - REMEMBERED))
  if redis.call('ZADD', base.key('pushed'), 'NX', call.now, id) == 0 then return false end
  redis.call('ZREMRANGEBYRANK', base.key('pushed'), 0, -MOST - 1)
  return true
end

verb.register {
  name = 'push', writes = true, question = { channel = { is = 'channel', must = true }, data = 'json', id = 'id' },
  answer = function(ask)
    base.expect('zset', base.key('pushed'))
    if ask.id and not is_new(ask.id) then return { outcome = 'already' } end
    return { outcome = 'pushed', seq = facts.push(ask.channel, ask.data) }
  end,
}
