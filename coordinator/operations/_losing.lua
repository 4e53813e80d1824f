-- Losing: a run whose lease is over waits for another start, or fails, or is blocked where nothing proves its agent dead.
function losing.check(name)
  for _, status in ipairs { 'failed', 'blocked' } do
    local row = sound.ending(name, status)
    if not row or row.status ~= 'running' then return end
  end
end

-- Answers {workspace, host, status}: what became of it.
function losing.take(name, row)
  local attempt, most = base.count(row.attempt), base.setting('max_attempts')
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

local function is_beyond(row)
  for _, limit_key in ipairs { '*', unpack(lease.holds(row)) } do
    if gates.is_beyond(limit_key) then return true end
  end
  return false
end

-- Whether what stands still has to go on doing so: other hosts have yet to tell, or nobody has said yet how many may run.
function losing.too_early()
  return gates.settling() ~= nil or not call.control.schema and gates.freeze_of('*') ~= nil
end

-- A run whose agent stood still, since its lease was over, when its host told a new epoch of it. Others may have been given its slots by a
-- memory that the server has lost: when all have told, and more run than may, it is lost, as it would have been to a server that
-- remembers. Until then it is `stilled`, also while a damaged key keeps anybody from counting. Answers whether its host has to end it,
-- also where a damaged key keeps it from waiting again.
function losing.judge(name, row)
  local known, is_lost = false, nil
  if not losing.too_early() then known, is_lost = sound.holds(is_beyond, row) end
  if not known or not is_lost then
    row.stilled = not known and '1' or nil
    base.write(base.key('workspace', name), { stilled = row.stilled or false })
    return false
  end
  if sound.holds(losing.check, name) then losing.take(name, row) end
  return true
end
