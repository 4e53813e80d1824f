-- Work that nobody can serve: routes with waiting lanes and no host, or only hosts that are quiet, silent or frozen.
-- It costs routes and hosts, never what waits.
local MOST_TOLD, MOST_LOOKED, MOST_LANES = 10, 1000, 16

local function is_away(host)
  local row = redis.call('HMGET', base.key('host', host), 'quiet', 'beat')
  if row[1] or hosts.is_silent(row[2]) then return true end
  return freezes.of(host) ~= nil
end

-- `away` remembers what was found of each host.
local function has_host(route, away)
  for _, host in ipairs(redis.call('SMEMBERS', base.key('served', route))) do
    if away[host] == nil then away[host] = is_away(host) end
    if not away[host] then return true end
  end
  return false
end

-- Since when the first of a route waits: the longest of the heads of its lanes, of which some are looked at.
local function since(route)
  local lanes, oldest = redis.call('HSCAN', base.key('lanes', route), '0', 'COUNT', MOST_LANES)[2], nil
  for i = 1, math.min(#lanes, 2 * MOST_LANES), 2 do
    local head = base.first(base.key('lane', lanes[i]))
    local when = head and base.number(redis.call('ZSCORE', base.key('status', 'queued'), head))
    if when and (not oldest or when < oldest) then oldest = when end
  end
  return oldest
end

local function told(route, lanes)
  local no = rooms.lacks(rooms.of(route)) or {}
  return { route = route, lanes = lanes, since = since(route), text = no.text, ['until'] = no['until'] }
end

-- The routes, those with most lanes first, and how many more there are.
function unserved.routes()
  local found, away = {}, {}
  for _, route in ipairs(redis.call('ZRANGE', base.key('routes'), 0, MOST_LOOKED - 1)) do
    local lanes = redis.call('HLEN', base.key('lanes', route))
    if lanes > 0 and not has_host(route, away) then found[#found + 1] = { route = route, lanes = lanes } end
  end
  table.sort(found, function(a, b) return a.lanes > b.lanes or (a.lanes == b.lanes and a.route < b.route) end)
  local out = {}
  for i = 1, math.min(#found, MOST_TOLD) do out[i] = told(found[i].route, found[i].lanes) end
  return out, #found > MOST_TOLD and #found - MOST_TOLD or nil
end
