-- kill: end what runs and fail what waits, chosen by exactly one of workspace, agent, repo, host, all. `all` freezes first.
-- Answers killing{running[], cleared, cursor?, more?}: ask again with the cursor until there is no more.
local SELECTORS = { 'workspace', 'agent', 'repo', 'host', 'all' }

local function selector(ask)
  local chosen
  for _, name in ipairs(SELECTORS) do
    if ask[name] then
      if chosen then return nil end
      chosen = name
    end
  end
  return chosen
end

local function holders_key(ask, by)
  if by == 'all' then return base.key('slots', '*') end
  if by == 'host' then return base.key('held', ask.host) end
  return base.key('slots', by == 'repo' and 'repo:' .. ask.repo or ask.agent)
end

local function matches(ask, by, row)
  if by == 'all' or by == 'workspace' then return true end
  if by == 'host' then return row.requires == ask.host end
  local wanted = by == 'repo' and 'repo:' .. ask.repo or ask.agent
  for _, limit_key in ipairs(lease.keys(row)) do
    if limit_key == wanted then return true end
  end
  return false
end

-- The holder ends it and says so; until then it keeps its slots.
local function ask_to_end(name, row, ask)
  if row.kill then return end
  base.write(base.key('workspace', name), { kill = base.encode { by = ask.by, reason = ask.reason, at = call.now } })
  facts.tell('KillRequested', { workspace = name, by = ask.by, reason = ask.reason, host = row.host })
  if row.host then redis.call('PUBLISH', base.key('poke', row.host), 'beat') end
end

local function check(names)
  for _, name in ipairs(names) do
    local row = sound.record(name)
    if row and row.status == 'queued' then sound.run(name, row, nil, 'failed') end
  end
end

local function visit(names, ask, by, answer)
  for _, name in ipairs(names) do
    local row = lease.record(name)
    if row and row.status == 'running' then
      ask_to_end(name, row, ask)
      answer.running[#answer.running + 1] = name
    elseif row and row.status == 'queued' and matches(ask, by, row) then
      lease.finish(name, row, 'failed', { verdict = 'killed', question = 'killed' .. (ask.by and ' by ' .. ask.by or '') ..
        (ask.reason and ': ' .. ask.reason or '') })
      answer.cleared = answer.cleared + 1
    end
  end
end

verb.register {
  name = 'kill', writes = true, frees = true,
  question = { workspace = 'workspace', agent = 'agent', repo = 'repo_path', host = 'host', all = 'boolean',
    by = 'line', reason = 'line', cursor = 'id' },
  answer = function(ask)
    local by = selector(ask)
    if not by then
      return { outcome = 'invalid', problems = { { field = 'workspace',
        problem = 'exactly one of workspace, agent, repo, host, all is required',
        fix = 'write {"all":true} to end everything' } } }
    end
    local answer = { outcome = 'killing', running = {}, cleared = 0 }
    if by == 'workspace' then
      check({ ask.workspace })
      visit({ ask.workspace }, ask, by, answer)
      return answer
    end
    local phase, cursor = (ask.cursor or 'r'):match('^([rq])(.*)$')
    if not phase or not records.is_cursor(cursor) then return records.wrong_cursor() end
    if cursor == '' then cursor = nil end
    local running = phase ~= 'q'
    local key = running and holders_key(ask, by) or base.key('status', 'queued')
    base.expect(running and 'set' or 'zset', key)
    local names, rest = records.part(running and 'SSCAN' or 'ZSCAN', key, cursor)
    check(names)
    if by == 'all' then latch.freeze('*', ask.by, ask.reason or 'kill') end
    visit(names, ask, by, answer)
    if rest then
      answer.cursor = (running and 'r' or 'q') .. rest
    elseif running then
      answer.cursor = 'q'
    end
    answer.more = answer.cursor and true or nil
    return answer
  end,
}
