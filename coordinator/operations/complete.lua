-- complete: end a run, and hand its host the next in the same step.
-- With a token it is the holder's word. Without one it is a report: it ends only a run no worker holds.
-- Answers completed{status, grants[], more?}, already{status}, stale{status}, unknown; each with the claim's grants.
verb.register {
  name = 'complete', writes = true, frees = true, lean = true,
  question = {
    workspace = { is = 'workspace', must = true }, token = 'integer', status = { is = 'ended', must = true },
    verdict = 'line', exit_code = 'signed', question = 'text', pr_url = 'line', retry_after = { is = 'integer', most = 31536000 },
    session = 'line', cost_usd = 'integer', receipt = 'text', as_of = 'seq', claim = { is = 'shape', fields = drain.QUESTION },
  },
  answer = function(ask)
    local row = lease.record(ask.workspace)
    local runs = row and row.status == 'running'
    verb.begin_lean(runs and row, ask.status, ask.claim and ask.claim.host)
    if row and not runs then row = lease.record(ask.workspace) end -- its deadline may just have come
    local asker = ask.claim and select(2, sound.holds(hosts.record, ask.claim.host))
    if runs and ending.goes_back(ask, row) then
      facts.sound()
      sound.run(ask.workspace, row, row.host, 'queued')
    end
    local outcome, status = ending.report(ask, row)
    local answer = { grants = {} }
    if ask.claim then
      local fine, claimed = sound.holds(drain.claim, ask.claim, asker and asker.mode == 'pull' and asker or nil)
      answer = fine and claimed or { grants = {}, more = true } -- a damaged lane: the ending stands, the host's own claim says it
    end
    answer.outcome, answer.status = outcome, status
    return answer
  end,
}
