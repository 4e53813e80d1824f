-- confirm: a push host is about to start what it was given, or has; the answer is the permission.
-- Answers confirmed{ttl, kill?}: the lease lasts ttl ms from now; with kill somebody asked to end it. stale{status}, unknown.
local function why_not(ask, row)
  if base.number(row.token) ~= ask.token then return 'its token is not that of the run' end
  if row.status ~= 'running' then return 'the grant is over' end
  if row.mode ~= 'push' then return 'no push host holds this run' end
  return nil
end

verb.register {
  name = 'confirm', writes = true,
  question = { workspace = { is = 'workspace', must = true }, token = { is = 'integer', must = true }, pid = 'integer' },
  answer = function(ask)
    base.expect('hash', base.key('workspace', ask.workspace))
    local row = lease.record(ask.workspace)
    if not row then return { outcome = 'unknown' } end
    local reason = why_not(ask, row)
    if not reason then
      return { outcome = 'confirmed', ttl = lease.prolong(ask.workspace, row, ask.pid), kill = row.kill and true or nil }
    end
    -- A replica that hears AgentStarted after the run has ended refuses nothing: it was confirmed.
    if base.number(row.token) ~= ask.token or not row.confirmed then
      facts.tell('ReportRefused', { workspace = ask.workspace, reason = reason })
    end
    return { outcome = 'stale', status = row.status }
  end,
}
