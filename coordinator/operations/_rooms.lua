-- Whether the hosts of a route have room, asked where a person or a new workspace wants to know: no grant reads this.
-- The two reasons that are not a key's: nobody serves this route; everybody who does is busy.
local function none(route)
  local pool, wanted, labels = hosts.parts(route)
  local who = 'no host serves'
  if wanted ~= '' then
    who = 'host ' .. wanted .. (redis.call('EXISTS', base.key('host', wanted)) == 1 and ' does not serve' or ' is not there to serve')
  end
  local text = who .. ' \'' .. pool .. '\''
  if labels[1] then text = text .. ' with labels ' .. table.concat(labels, ', ') end
  return { key = route, reason = 'no_host', used = 0, limit = 0, text = text }
end

-- Read over hosts of the route; used where a person asks, not in a grant. nil when one has room: it is on its way.
local function all_full(route, serving)
  local used, slots, count, cold = 0, 0, 0, nil
  for _, host in ipairs(serving) do
    local row = redis.call('HMGET', base.key('host', host), 'slots', 'quiet', 'beat')
    if not row[2] and not hosts.is_silent(row[3]) then
      local no = freezes.refuses(host)
      if no then
        cold = freezes.sooner(no, cold)
      else
        used = used + redis.call('SCARD', base.key('held', host))
        slots, count = slots + base.count(row[1]), count + 1
      end
    end
  end
  if count == 0 then
    return cold or { key = route, reason = 'no_host', used = 0, limit = 0, text = 'every host that serves ' .. route .. ' is quiet or silent' }
  end
  if used < slots then return nil end
  return { key = route, reason = 'hosts_full', used = used, limit = slots, among = serving,
    text = 'hosts full: ' .. used .. '/' .. slots .. ' slots on ' .. count .. (count == 1 and ' host' or ' hosts') .. ' that serve ' .. route }
end

-- The hosts that could serve a route, by their records, and those of them that wait.
function rooms.matching(route)
  local serving, waiting = {}, {}
  for _, host in ipairs(redis.call('ZRANGE', base.key('hosts'), 0, -1)) do
    local row = redis.call('HMGET', base.key('host', host), 'pools', 'labels', 'waiting')
    if hosts.fit(route, host, row) then
      serving[#serving + 1] = host
      waiting[#waiting + 1] = row[3] and host or nil
    end
  end
  return serving, waiting
end

-- What is asked of a route here: {route, serving (some of them), count, waiting (nil: look)}. What waits for its time has stood in no
-- lane: its route may have been matched with nobody yet.
function rooms.of(route)
  if redis.call('ZSCORE', base.key('routes'), route) then
    local served = base.key('served', route)
    return { route = route, serving = redis.call('SRANDMEMBER', served, 16), count = redis.call('SCARD', served) }
  end
  local serving, waiting = rooms.matching(route)
  return { route = route, serving = serving, count = #serving, waiting = waiting }
end

-- Why a lane of this route that no key refuses does not start: nobody serves it, or who does is full. nil: one has room.
function rooms.lacks(at)
  if not at.serving[1] then return none(at.route) end
  return all_full(at.route, at.serving)
end

-- The same as it stands now: a host that waits is on its way, unless it has gone silent.
function rooms.keep(at)
  if at.serving[1] then
    for _, host in ipairs(at.waiting or redis.call('ZRANGE', base.key('waiting', at.route), 0, -1)) do
      if hosts.lives(host) then return nil end
    end
  end
  return rooms.lacks(at)
end

-- Ten at most of those that hosts hold.
function rooms.holders(full)
  local names = {}
  for _, host in ipairs(full) do
    for _, name in ipairs(#names < 10 and redis.call('SRANDMEMBER', base.key('held', host), 10 - #names) or {}) do names[#names + 1] = name end
  end
  table.sort(names)
  return names
end
