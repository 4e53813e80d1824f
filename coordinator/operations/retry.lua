-- retry: queue workspaces that have ended again, one or all of a status (failed by default), with their attempts forgiven.
-- Answers done{count, cursor?, more?}.
verb.register {
  name = 'retry', writes = true, question = { workspace = 'workspace', status = 'status', by = 'line', cursor = 'id' },
  answer = function(ask)
    return records.each(ask, 'failed', 'queued', function(name, row)
      if row.status == 'queued' or row.status == 'running' or not row.lane then return false end
      lease.requeue(name, row, { attempt = 0, verdict = false, question = false, exit_code = false, ended_at = false, queued_at = call.now })
      return true
    end)
  end,
}
