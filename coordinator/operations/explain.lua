-- explain: why is this workspace waiting, judged by the same words as a claim. Read-only.
-- Answers explained{status, text, refusal?, place?, lanes_before?, aged_to?, route?, keys[]?, served_by?, deadline?}, unknown.
-- `what_if` puts other limits in.
verb.register {
  name = 'explain', question = { workspace = { is = 'workspace', must = true }, what_if = { is = 'map', names = 'key', of = 'integer' } },
  answer = function(ask)
    local row = lease.record(ask.workspace)
    if not row then return { outcome = 'unknown', workspace = ask.workspace } end
    local answer = { outcome = 'explained', workspace = ask.workspace, status = row.status, agent = row.agent, host = row.host,
      question = row.question }
    if row.status ~= 'queued' then return answer end
    for limit_key, limit in pairs(ask.what_if or {}) do gates.suppose(limit_key, limit) end
    local route, keys = queue.parts(row.lane or '')
    local no = later.refuses(ask.workspace, row) or gates.refuses('*') or gates.judge(keys)
    local room = rooms.of(route)
    no = no or rooms.keep(room)
    gates.with_holders(no)
    answer.refusal, answer.route, answer.served_by, answer.deadline = no, route, room.count, base.number(row.deadline)
    local before = redis.call('ZRANK', base.key('lane', row.lane), ask.workspace)
    answer.place = before and before + 1 or nil
    if before then answer.lanes_before, answer.aged_to = standing.of(row.lane) end
    answer.keys = { { key = '*', used = gates.used('*'), limit = gates.limit('*') or nil } }
    for _, limit_key in ipairs(keys) do
      answer.keys[#answer.keys + 1] = { key = limit_key, used = gates.used(limit_key), limit = gates.limit(limit_key) or nil }
    end
    for _, member in ipairs(accounts.members(keys[1] or '')) do
      answer.keys[#answer.keys + 1] = { key = member, used = gates.used(member), limit = gates.limit(member) or nil }
    end
    return answer
  end,
}
