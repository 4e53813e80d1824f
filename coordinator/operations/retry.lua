-- retry: queue workspaces that have ended again, one or all of a status (failed by default), with their attempts forgiven.
-- One of them may be told an `answer`: its next run is started in front of the others, on the host whose disk it lies on.
-- Answers done{count, cursor?, more?}.
local function problems_of(ask)
  local found = {}
  for _, field in ipairs { 'agent', 'answer', 'front', 'not_before', 'deadline' } do
    if ask[field] ~= nil and (not ask.workspace or ask.status) then
      found[#found + 1] = { field = field, problem = 'is for one workspace: it needs workspace, and no status',
        fix = 'write {"workspace":"core/go-io/task-5","answer":"port 8080"}' }
    end
  end
  if ask.answer and not ask.answer:find('%S') then
    found[#found + 1] = { field = 'answer', problem = 'must not be empty', fix = 'leave the field out to run it as before' }
  end
  return found
end

-- The record as it will be. An answer pins it to where it last ran; without one that pin is gone, since its host may be.
local function changed(ask, row)
  local new = {}
  for field, value in pairs(row) do new[field] = value end
  new.agent = ask.agent or row.agent
  if row.pinned then new.requires, new.pinned = nil, nil end
  if ask.answer then
    new.answer = ask.answer
    if not new.requires and row.ran_on then new.requires, new.pinned = row.ran_on, '1' end
  end
  later.again(new, ask)
  if queue.pool(new.agent) ~= queue.pool(row.agent) then new.session = nil end -- another program can not go on with it
  new.front = (ask.front or new.answer) and '1' or nil -- also for an answer that no run has received
  if new.agent ~= row.agent or new.requires ~= row.requires or new.front ~= row.front then
    new.lane = lease.lane(new, lease.named_keys(row, new.agent))
  end
  return new
end

-- Asked of one that waits or runs already they change nothing, and are not judged.
local function wrong_times(ask)
  if not ask.not_before and not ask.deadline then return nil end
  base.expect('hash', base.key('workspace', ask.workspace))
  local row = lease.record(ask.workspace)
  if not row or row.status == 'queued' or row.status == 'running' then return nil end
  return later.wrong(ask, row)
end

verb.register {
  name = 'retry', writes = true,
  question = { workspace = 'workspace', status = 'status', by = 'line', cursor = 'id', answer = 'text', agent = 'agent', front = 'boolean',
    not_before = 'integer', deadline = 'integer' },
  answer = function(ask)
    local problems = problems_of(ask)
    if #problems > 0 then return { outcome = 'invalid', problems = problems } end
    local wrong = wrong_times(ask)
    if wrong then return wrong end
    return records.each(ask, 'failed', 'queued', function(name, row)
      if row.status == 'queued' or row.status == 'running' or not row.lane then return false end
      local new = changed(ask, row)
      if new.front then new.place = base.next('place') end
      lease.requeue(name, new, { attempt = 0, verdict = false, question = false, exit_code = false, ended_at = false, queued_at = call.now,
        agent = new.agent, lane = new.lane, place = new.place, requires = new.requires or false, pinned = new.pinned or false,
        session = new.session or false, answer = new.answer or false, front = new.front or false,
        not_before = new.not_before, deadline = new.deadline })
      return true
    end, function(name, few)
      if few.lane and (ask.workspace or few.pinned) then sound.lane(changed(ask, lease.record(name)).lane) end
    end)
  end,
}
