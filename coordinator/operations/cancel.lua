-- cancel: take waiting workspaces out of the queue, one or all that are queued. A running one is left alone: kill ends it.
-- Answers done{count, cursor?, more?}.
verb.register {
  name = 'cancel', writes = true, question = { workspace = 'workspace', status = 'status', by = 'line', cursor = 'id' },
  answer = function(ask)
    if not ask.workspace and not ask.status then
      return { outcome = 'invalid', problems = { { field = 'workspace', problem = 'workspace or status is required',
        fix = 'write {"status":"queued"}' } } }
    end
    return records.each(ask, 'queued', 'failed', function(name, row)
      if row.status ~= 'queued' then return false end
      lease.finish(name, row, 'failed', { verdict = 'cancelled', question = 'cancelled' .. (ask.by and ' by ' .. ask.by or '') })
      return true
    end)
  end,
}
