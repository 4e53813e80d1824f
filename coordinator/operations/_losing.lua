-- Losing: a run whose lease is over waits for another start, or fails, or is blocked where nothing proves its agent dead.
function losing.check(name)
  for _, status in ipairs { 'failed', 'blocked' } do
    local row = sound.ending(name, status)
    if not row or row.status ~= 'running' then return end
  end
end

-- Answers {workspace, host, status}: what became of it.
function losing.take(name, row)
  local attempt, most = base.number(row.attempt) or 0, base.setting('max_attempts')
  local proof = row.mode == 'pull' or (row.mode == 'push' and not row.confirmed)
  local status = proof and 'queued' or 'blocked'
  if row.kill then
    status = 'failed'
  elseif proof and attempt >= most then
    status = 'failed'
  end
  facts.tell('AgentLost', { workspace = name, host = row.host, token = base.number(row.token), reason = 'the lease ran out' })
  local doubt = 'no proof of death: ' .. (row.host or 'its holder') .. ' went silent; retry when the agent is certainly dead'
  if status == 'queued' then
    status = lease.requeue(name, row, {})
  elseif status == 'failed' then
    local how = row.mode == 'push' and ' never confirmed that it starts it' or ' went silent'
    local text = row.kill and 'killed; its host went silent' or 'lost ' .. string.format('%.0f', attempt) .. ' times: ' .. row.host .. how
    lease.finish(name, row, 'failed', { verdict = row.kill and 'killed' or 'lost', question = text })
  else
    lease.finish(name, row, 'blocked', { verdict = 'lost', question = doubt })
  end
  return { workspace = name, host = row.host, status = status }
end
