-- query: records by name or by filters, newest first, in pages. Read-only.
-- Answers found{workspaces[], cursor?}: ask again with the cursor for the next page.
local STATUSES = { 'running', 'queued', 'blocked', 'failed', 'ready-for-review', 'completed', 'merged' }
local MOST_LOOKED_AT = 1000

local function wanted(row, ask)
  if ask.repo and row.repo ~= ask.repo and (row.org or '') .. '/' .. (row.repo or '') ~= ask.repo then return false end
  if ask.host and row.host ~= ask.host then return false end
  return not ask.agent or row.agent == ask.agent or (row.agent or ''):match('^[^:]*') == ask.agent
end

-- cursor: the place in the list of statuses, then how many of that status were passed
local function page(ask)
  local statuses = ask.status and { ask.status } or STATUSES
  local at, passed = (ask.cursor or '1-0'):match('^(%d+)%-(%d+)$')
  at, passed = tonumber(at) or 1, tonumber(passed) or 0
  local found, looked, count = {}, 0, ask.count or 50
  while statuses[at] do
    local names = redis.call('ZREVRANGE', base.key('status', statuses[at]), passed, passed + 99)
    for _, name in ipairs(names) do
      if #found == count or looked == MOST_LOOKED_AT then return found, at .. '-' .. passed end
      looked, passed = looked + 1, passed + 1
      local row = lease.record(name)
      if row and wanted(row, ask) then found[#found + 1] = records.view(name, row, true) end
    end
    if #names < 100 then at, passed = at + 1, 0 end
  end
  return found, nil
end

verb.register {
  name = 'query', question = { name = 'workspace', status = 'status', repo = 'repo_path', agent = 'agent', host = 'host', cursor = 'id',
    count = { is = 'integer', least = 1, most = 500 } },
  answer = function(ask)
    if ask.name then
      local row = lease.record(ask.name)
      return { outcome = 'found', workspaces = row and { records.view(ask.name, row) } or {} }
    end
    local found, cursor = page(ask)
    return { outcome = 'found', workspaces = found, cursor = cursor }
  end,
}
