-- Hosts and routes: who can serve what, who waits for work, and whom to wake.
-- A route is pool[@host][+label...]; `serves:<host>` and `served:<route>` are the match, made once for each new side.
function hosts.route(pool, host, labels)
  local text = pool .. (host and '@' .. host or '')
  for _, one in ipairs(base.distinct(labels)) do text = text .. '+' .. one end
  return text
end

local function set_of(list)
  local out = {}
  for _, value in ipairs(list or {}) do out[value] = true end
  return out
end

-- The pool of a route, the host that it names ('' for any), and its labels.
function hosts.parts(route)
  local head, rest = route:match('^([^+]*)(.*)$')
  local pool, wanted = head:match('^([^@]*)@?(.*)$')
  return pool, wanted, base.split(rest, '+')
end

local function fits(route, host, pools, labels)
  local pool, wanted, needs = hosts.parts(route)
  if not pools[pool] or (wanted ~= '' and wanted ~= host) then return false end
  for _, one in ipairs(needs) do
    if not labels[one] then return false end
  end
  return true
end

function hosts.fit(route, host, row) return fits(route, host, set_of(base.parse(row[1])), set_of(base.parse(row[2]))) end -- a record's

-- The routes a host serves; read once a call.
function hosts.serves(host)
  call.serves = call.serves or {}
  local routes = call.serves[host]
  if not routes then
    routes = redis.call('SMEMBERS', base.key('serves', host))
    call.serves[host] = routes
  end
  return routes
end

-- The record of a host.
function hosts.record(host)
  local row = base.hash(base.key('host', host))
  call.modes[host] = row.mode or 'pull'
  return row
end

-- `push`, or another for any that asks for itself. Damage of its record is that.
function hosts.mode(host)
  if not call.modes[host] then
    local mode = redis.pcall('HGET', base.key('host', host), 'mode')
    call.modes[host] = type(mode) == 'string' and mode or 'pull'
  end
  return call.modes[host]
end

-- A host that waits is in `waiting:<route>` of every route it serves, and says so in its record.
function hosts.wait(host)
  for _, route in ipairs(hosts.serves(host)) do
    redis.call('ZADD', base.key('waiting', route), 'NX', call.now, host)
  end
  redis.call('HSET', base.key('host', host), 'waiting', call.now)
end

function hosts.leave(host)
  for _, route in ipairs(hosts.serves(host)) do
    redis.call('ZREM', base.key('waiting', route), host)
  end
  redis.call('HDEL', base.key('host', host), 'waiting')
end

-- Connects a new route with every host that can serve it, once; also on damage to one side.
function hosts.new_route(route)
  if redis.call('ZSCORE', base.key('routes'), route) then return end
  redis.call('ZADD', base.key('routes'), call.now, route)
  fair.keep(route)
  local serving, waiting = rooms.matching(route)
  for _, host in ipairs(serving) do
    redis.call('SADD', base.key('serves', host), route)
    redis.call('SADD', base.key('served', route), host)
    call.serves = nil
  end
  for _, host in ipairs(waiting) do redis.call('ZADD', base.key('waiting', route), 'NX', call.now, host) end
end

-- A new or changed host against every route, once. A waiting host starts to wait for the routes it gained.
function hosts.match(host, pools, labels)
  local waits = redis.call('HGET', base.key('host', host), 'waiting')
  local left = hosts.unmatch(host)
  local has, is = set_of(pools), set_of(labels)
  for _, route in ipairs(redis.call('ZRANGE', base.key('routes'), 0, -1)) do
    if fits(route, host, has, is) then
      redis.call('SADD', base.key('serves', host), route)
      redis.call('SADD', base.key('served', route), host)
      if waits then call.touched[route] = true end
      left[route] = nil
    end
  end
  call.serves = nil
  if waits then hosts.wait(host) end
  hosts.pass_on(host, left)
end

-- Answers the routes that the host served.
function hosts.unmatch(host)
  hosts.leave(host)
  local left = set_of(hosts.serves(host))
  for route in pairs(left) do redis.call('SREM', base.key('served', route), host) end
  redis.call('DEL', base.key('serves', host))
  call.serves = nil
  return left
end

-- A host that was poked will not look at these routes any more: another is.
function hosts.pass_on(host, routes)
  if not redis.call('ZSCORE', base.key('poked'), host) then return end
  for route in pairs(routes) do call.touched[route] = true end
end

local function wake(host, route)
  local row = redis.call('HMGET', base.key('host', host), 'mode', 'beat')
  hosts.leave(host)
  redis.call('ZREM', base.key('waiting', route), host) -- also when its `serves` was changed by hand
  if row[1] == 'push' then return offers.make(host, row[2]) end
  if redis.call('PUBLISH', base.key('poke', host), '') == 0 then return false end
  redis.call('ZADD', base.key('poked'), call.now + 1000, host)
  redis.call('HSET', base.key('host', host), 'poked', '1') -- so that its claim need not ask
  facts.due(call.now + 1000)
  return true
end

-- Wakes one host that waits for this route. A PUBLISH nobody received, and a wake that leads to no claim
-- within a second, go to the next.
function hosts.poke(route)
  if not sound.holds(base.expect, 'zset', base.key('waiting', route)) then return false end
  while true do -- every turn takes one host out, which it entered by a claim
    local host = base.first(base.key('waiting', route))
    if not host then return false end
    if not sound.holds(sound.claimer, host) then
      redis.call('ZREM', base.key('waiting', route), host) -- its own next claim says which key is damaged
    elseif wake(host, route) then
      return true
    end
  end
end

-- At the end of a call: every route it touched that still has something ready gets one of its waiting hosts.
-- Answers how many were poked; asking twice in a call pokes once.
function hosts.wake()
  local touched, woken = call.touched, 0
  call.touched = {}
  if next(touched) == nil or not gates.admits('*') then return 0 end
  local routes = {}
  for route in pairs(touched) do routes[#routes + 1] = route end
  table.sort(routes)
  for _, route in ipairs(routes) do
    local ready = touched[route] == 'ready' or redis.call('EXISTS', base.key('ready', route)) == 1
    if ready and hosts.poke(route) then woken = woken + 1 end
  end
  return woken
end

-- A host that was poked does not come: what it was poked for is the next one's.
function hosts.skip(host)
  redis.call('ZREM', base.key('poked'), host)
  if sound.holds(base.expect, 'set', base.key('serves', host)) then
    for _, route in ipairs(hosts.serves(host)) do call.touched[route] = true end
  end
end

-- Pokes that led to no claim in time go to the next; the push hosts whose turn it is, to the end of this call.
function hosts.overdue(most)
  for _, host in ipairs(redis.call('ZRANGEBYSCORE', base.key('poked'), '-inf', call.now, 'LIMIT', 0, most)) do
    if redis.pcall('HGET', base.key('host', host), 'mode') == 'push' then
      call.offers[#call.offers + 1] = host
    else
      hosts.skip(host)
    end
  end
end

function hosts.silent_after() return 3 * base.setting('beat') end

-- By its last beat (a time, or its text); one that never beat is silent.
function hosts.is_silent(beat) return call.now - base.count(beat) > hosts.silent_after() end

function hosts.lives(host) return not hosts.is_silent(redis.call('HGET', base.key('host', host), 'beat')) end

local function has_told(host) return redis.pcall('HGET', base.key('host', host), 'epoch') == call.control.epoch end

-- A new epoch settles when every known host has told in it what it holds, and every host that somebody remembers.
function hosts.settle()
  if not call.control.settling then return end
  for _, host in ipairs(redis.call('ZRANGE', base.key('hosts'), 0, -1)) do
    if not has_told(host) then return end
  end
  for _, host in ipairs(base.named('expected')) do
    if not has_told(host) then return end
  end
  hosts.settled()
  latch.time('*')
  latch.open('*')
  local _, ends = base.first(base.key('leases'))
  if ends then facts.due(tonumber(ends)) end -- while settling nobody was told of them
end

function hosts.settled()
  base.keep('settling', false)
  base.keep('expected', false)
end

-- These hosts had runs before the server lost its memory: nothing is granted until they have told of them, or the leases would be over.
function hosts.expect(names)
  base.keep('expected', table.concat(base.distinct(names), ' '))
  base.keep('settling', base.until_after(base.setting('lease_ttl')))
  latch.time('*')
  hosts.settle()
end

-- There may be other hosts, and nobody has named them. No host can be called `*`, so that one has never told: only the clock ends the
-- waiting for it, or somebody who remembers and names them.
function hosts.expect_unnamed()
  if not gates.settling() then return hosts.expect { '*' } end
  base.name('expected', '*', true)
end

-- How long leases last has been said since the server came back empty: then so long.
function hosts.lease_changed()
  if not gates.settling() or not base.is_named('expected', '*') then return end
  base.keep('settling', base.until_after(base.setting('lease_ttl')))
  latch.time('*')
end

-- The server restarted, was promoted, or lost its memory: until every host has reported, nothing is granted or reaped.
function hosts.new_epoch()
  if call.control.epoch and base.epochs[call.root] == call.control.epoch then return end
  local epoch = string.format('%.0f', math.max(base.count(call.control.epoch) + 1, call.now))
  base.epochs[call.root] = epoch
  if call.control.expected and not gates.settling() then base.keep('expected', false) end -- they were waited for in vain
  local fields = { epoch = epoch }
  if redis.call('EXISTS', base.key('hosts')) == 1 then fields.settling = base.until_after(base.setting('lease_ttl')) end
  base.write(base.key('control'), fields)
  for field, value in pairs(fields) do call.control[field] = type(value) == 'number' and string.format('%.0f', value) or value end
  if fields.settling then latch.time('*') end
end
