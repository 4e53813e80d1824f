-- Endings: how the end of a run is recorded, and what it says of a provider: one that fails its pool time after time rests.
-- What a holder says of an ending that it repeats.
ending.FIELDS = { workspace = { is = 'workspace', must = true }, token = { is = 'integer', must = true }, status = { is = 'ended', must = true },
  verdict = 'line', exit_code = 'signed', question = 'text', pr_url = 'line', retry_after = { is = 'integer', most = 31536000 },
  session = 'line', cost_usd = 'integer', receipt = 'text' }

-- Runs that fail within a minute, three in a row, mean that a provider refuses the whole pool: it rests for half an hour. Where the
-- pool has accounts, each has a row of its own, and rests alone.
-- The count goes on when the rest is over, so the next such failure is enough; any other ending of its own ends the row.
local QUICK, IN_A_ROW, REST = 60000, 3, 1800000
local OTHERS_DID_IT = { killed = true, stopped = true, lost = true }
local LIMITED = { limited = true, throttled = true } -- of something else, where no time was named
-- Nobody saw the agent work: no success, but three in a row stop a host that can start nothing from failing all that waits.
local UNSEEN = { start_failed = true, guard_died = true }

-- A pool, or an account, rests for so long, unless it rests longer already. Of many runs that met one limit at once, the first tells it:
-- no other moves the gate by as much as a second.
local function rest(pool, ms, reason, by)
  facts.sound()
  local was, ends = gates.shut_until(pool), call.now + ms
  if ends <= was then return end
  latch.shut(pool, ends, reason, by)
  if ends - was >= 1000 then facts.limited(pool, ms) end
end

local function count_failure(pool, row, ask)
  if row.kill or OTHERS_DID_IT[ask.verdict or ''] then return end
  local quick = ask.status == 'failed' and call.now - base.count(row.started_at) < QUICK
  if quick or call.rare ~= false then facts.sound() end
  if not quick then
    if call.rare ~= false and not UNSEEN[ask.verdict or ''] then redis.call('HDEL', base.key('fail_count'), pool) end
    return
  end
  local count = base.count(redis.call('HGET', base.key('fail_count'), pool)) + 1
  base.write(base.key('fail_count'), { [pool] = count })
  call.rare = nil
  if count < IN_A_ROW then return end
  rest(pool, REST, string.format('%.0f', count) .. ' failures in a row within a minute of starting', row.host)
end

-- A report that changes nothing becomes a fact. A holder's own word does not: its answer tells it.
local function refuse(ask, outcome, row, reason)
  if ask.as_of or not ask.token then facts.tell('ReportRefused', { workspace = ask.workspace, reason = reason }) end
  return outcome, row and row.status
end

-- Whether a run that ended so goes back to its place: it met a limit, and nobody wanted its end.
function ending.goes_back(ask, row) return (ask.retry_after or 0) > 0 and ask.status == 'failed' and row.kill == nil end

-- How an ending is recorded; shared by `complete` and by the endings a beat repeats.
-- Answers 'completed', 'already', 'stale' or 'unknown', and the status the workspace then has.
function ending.report(ask, row)
  if not row then return refuse(ask, 'unknown', nil, 'there is no such workspace') end
  local token = base.count(row.token)
  if ask.token and ask.token ~= token then return refuse(ask, 'stale', row, 'its token is not that of this run') end
  if row.status ~= 'running' then return 'already', row.status end
  if not ask.token then
    local late = ask.as_of and row.granted and facts.later(row.granted, ask.as_of)
    if late then return refuse(ask, 'stale', row, 'the report is older than the run') end
    if row.mode == 'pull' then return refuse(ask, 'stale', row, 'a worker holds this run: only its token ends it') end
  end
  local again = ending.goes_back(ask, row)
  local fields = { verdict = ask.verdict or false, exit_code = ask.exit_code or false, question = ask.question or false,
    pr_url = ask.pr_url, session = ask.session, receipt = ask.receipt or false }
  if ask.cost_usd then fields.cost_usd = base.count(row.cost_usd) + ask.cost_usd end
  local pool = accounts.limited(row, queue.pool(row.agent))
  if (ask.retry_after or 0) > 0 then
    rest(pool, ask.retry_after * 1000, 'the provider named a time', row.host)
  else
    count_failure(pool, row, ask)
    local verdict = ask.verdict or ''
    local by_itself = not row.kill and not OTHERS_DID_IT[verdict] and not LIMITED[verdict] and not UNSEEN[verdict]
    call.own_ending = by_itself and ask.workspace or nil
  end
  if again then
    fields.attempt = math.max((base.number(row.attempt) or 1) - 1, 0)
    return 'completed', lease.requeue(ask.workspace, row, fields)
  end
  lease.finish(ask.workspace, row, ask.status, fields)
  return 'completed', ask.status
end
