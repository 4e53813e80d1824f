-- Accounts: interchangeable limit keys of a pool, `account:<pool>/<name>`. A run of a pool that has such a group also needs one
-- member that admits, and holds its slot. The group is judged beside the pool, under `accounts:<pool>`, and stands in no lane.
-- `control` names the pools that have a group, so that the others cost no call.
accounts.MOST = 32 -- members of a group

local function group_of(pool) return 'accounts:' .. pool end

local function has_group(pool) return base.is_named('accounts', pool) end

-- Whether a name that lies in Redis is one: it becomes part of what a host runs.
local function is_name(text) return #text <= 50 and text:find('^%w[%w._@+-]*$') ~= nil end

-- The keys of a pool's accounts, by name; empty where it has no group.
function accounts.members(pool)
  call.accounts = call.accounts or {}
  local known = call.accounts[pool]
  if known then return known end
  local found = {}
  if has_group(pool) then
    for _, name in ipairs(redis.call('SMEMBERS', base.key('accounts', pool))) do
      if is_name(name) then found[#found + 1] = 'account:' .. pool .. '/' .. name end
    end
    table.sort(found)
  end
  call.accounts[pool] = found
  return found
end

-- The pool whose group this key is; nil for any other key.
function accounts.pool(limit_key)
  if not call.control.accounts then return nil end
  local pool = limit_key:match('^accounts:(.+)$')
  return pool and accounts.members(pool)[1] and pool or nil
end

-- The pool and the name of an account's key; nil for any other key.
function accounts.parts(limit_key) return limit_key:match('^account:([^/]+)/(.+)$') end

-- The account that a run holds, as a limit key.
function accounts.held(row)
  local pool = row.account and lease.keys(row)[1]
  return pool and 'account:' .. pool .. '/' .. row.account or nil
end

-- What a provider's refusal of this run shuts: its account, where the pool has others; else the pool.
function accounts.limited(row, pool)
  return has_group(pool) and accounts.held(row) or pool
end

local function text_of(pool, worst, used, limit)
  if worst.reason == 'full' then
    return 'queue at capacity: accounts of ' .. pool .. ' ' .. used .. '/' .. string.format('%.0f', limit)
  end
  return 'no account of ' .. pool .. ' may start: ' .. worst.text
end

-- Why no account of a pool admits, or nil: its numbers are theirs together, its time the earliest of theirs. A full one gives
-- the reason, since the next ending opens it; else the one that opens first.
function accounts.refuses(pool)
  local worst, used, limit, ends = nil, 0, nil, nil
  gates.see(accounts.members(pool))
  for _, member in ipairs(accounts.members(pool)) do
    local no = gates.refuses(member)
    if not no then return nil end
    used = used + gates.used(member)
    if gates.limit(member) then limit = (limit or 0) + gates.limit(member) end
    local sooner = no['until'] and (not ends or no['until'] < ends)
    if sooner then ends = no['until'] end
    if not worst or (worst.reason ~= 'full' and (no.reason == 'full' or sooner)) then worst = no end
  end
  if not worst then return nil end
  return { key = group_of(pool), reason = worst.reason, text = text_of(pool, worst, used, limit), used = used, limit = limit,
    ['until'] = ends }
end

-- The account that a run of these keys gets, by its name: of those that admit the one with most room, then the least used,
-- then the first. Where the keys name accounts of the pool themselves, one of these.
function accounts.pick(keys)
  local named, best, room, used = {}, nil, nil, nil
  for i = 2, #keys do named[keys[i]] = accounts.parts(keys[i]) == keys[1] end
  local members, chosen = accounts.members(keys[1]), {}
  for _, member in ipairs(members) do
    if named[member] then chosen[#chosen + 1] = member end
  end
  for _, member in ipairs(chosen[1] and chosen or members) do
    if gates.admits(member) then
      local holds, limit = gates.used(member), gates.limit(member)
      local free = limit and limit - holds or math.huge
      if not best or free > room or (free == room and holds < used) then best, room, used = member, free, holds end
    end
  end
  return best and select(2, accounts.parts(best)) or nil
end

-- An account may admit again, and with it its group.
function accounts.opened(limit_key)
  local pool = accounts.parts(limit_key)
  if pool and has_group(pool) then latch.open(group_of(pool)) end
end

-- The keys that are judged and held with those of a lane: its own, the group of its pool, the accounts.
function accounts.beside(keys)
  local members = accounts.members(keys[1] or '')
  if not members[1] then return keys end
  local out = base.list(keys)
  out[#out + 1] = group_of(keys[1])
  for _, member in ipairs(members) do out[#out + 1] = member end
  return out
end

-- These keys, and the groups of those that are accounts: they open with them.
function accounts.with_group(keys)
  local out
  for _, limit_key in ipairs(keys) do
    local pool = accounts.parts(limit_key)
    if pool and has_group(pool) then
      out = out or base.list(keys)
      out[#out + 1] = group_of(pool)
    end
  end
  return out or keys
end

-- Who holds the slots of a group, some of them; nil for any other key.
function accounts.holders(limit_key)
  local pool = accounts.pool(limit_key)
  if not pool then return nil end
  local out = {}
  for _, member in ipairs(accounts.members(pool)) do
    for _, name in ipairs(redis.call('SRANDMEMBER', base.key('slots', member), 10 - #out)) do out[#out + 1] = name end
  end
  return out
end

-- Who tries the accounts of a group that have reopened, ten at most; nil for any other key.
function accounts.trying(limit_key)
  local pool, out = accounts.pool(limit_key), {}
  if not pool then return nil end
  for _, member in ipairs(accounts.members(pool)) do
    for _, name in ipairs(ramp.trying(member)) do out[#out + 1] = #out < 10 and name or nil end
  end
  table.sort(out)
  return out
end

-- Why keys are wrong that name an account which the pool does not have, as an answer, or nil: it would run under another.
function accounts.wrong(pool, keys)
  local names = accounts.names(pool)
  for i, limit_key in ipairs(names and keys or {}) do
    local of, name = accounts.parts(limit_key)
    local known = of ~= pool
    for _, one in ipairs(names) do known = known or one == name end
    if not known then
      return { outcome = 'invalid', problems = { { field = 'keys.' .. (i - 1), problem = pool .. ' has no account ' .. name,
        fix = 'name one of its accounts: ' .. table.concat(names, ', ') } } }
    end
  end
  return nil
end

-- The names of a pool's accounts, sorted; nil for none.
function accounts.names(pool)
  local names = {}
  for _, member in ipairs(accounts.members(pool)) do names[#names + 1] = select(2, accounts.parts(member)) end
  return names[1] and names or nil
end

-- The pools that have a group.
function accounts.pools() return base.named('accounts') end

-- The names of all of them by pool; nil for none.
function accounts.all()
  local out = {}
  for _, pool in ipairs(accounts.pools()) do out[pool] = accounts.names(pool) end
  return base.some(out)
end

-- Gives a pool these accounts, or none. What waits for one is judged again; who holds one that is gone keeps its slot.
function accounts.set(pool, names)
  redis.call('DEL', base.key('accounts', pool))
  if names[1] then redis.call('SADD', base.key('accounts', pool), unpack(names)) end
  base.name('accounts', pool, names[1] ~= nil)
  call.accounts = nil
  latch.open(group_of(pool))
end
