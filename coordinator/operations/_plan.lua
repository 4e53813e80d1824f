-- What a configuration changes, as steps that can each be taken alone: so a call takes a part of them, and the same question,
-- asked again, goes on with what is left. In this order: limits that become lower (defaults before their keys), limits that
-- become higher (defaults after their keys), rates, accounts, weights. So in between, too, no key may run more than before or after.
-- A step: {kind, name, now, changes[{path, was?, now?}]}.
local MOST_STEPS = 16 -- a call

local find, expect, take = {}, {}, {} -- by kind

-- The first names that are put in, sorted, no more than a call takes: it takes long to sort thousands of them.
local function put(list, name)
  local at = #list + 1
  if at > MOST_STEPS then
    if name > list[MOST_STEPS] then return end
    at = MOST_STEPS
  end
  while at > 1 and name < list[at - 1] do
    list[at], at = list[at - 1], at - 1
  end
  list[at] = name
end

-- Every name that is in one of two maps, to `each`.
local function both(one, other, each)
  for name in pairs(one) do each(name) end
  for name in pairs(other) do
    if one[name] == nil then each(name) end
  end
end

local function one_change(kind, name, was, now) return { { path = kind .. '.' .. name, was = was, now = now } } end

local function add(found, kind, names, old, wanted)
  for _, name in ipairs(names) do
    found[#found + 1] = { kind = kind, name = name, now = wanted[name], changes = one_change(kind, name, old[name], wanted[name]) }
  end
end

local function in_force(limits, limit_key) return limits[limit_key] or limits[defaults.of(limit_key) or ''] or math.huge end

function find.limits(wanted, found)
  local old, lower, higher = base.numbers(base.key('limits')), { {}, {} }, { {}, {} } -- of defaults, of keys
  both(old, wanted, function(limit_key)
    if old[limit_key] == wanted[limit_key] then return end
    local lists = in_force(wanted, limit_key) < in_force(old, limit_key) and lower or higher
    put(lists[limit_key:find(':%*$') and 1 or 2], limit_key)
  end)
  for _, names in ipairs { lower[1], lower[2], higher[2], higher[1] } do add(found, 'limits', names, old, wanted) end
end

-- A pool whose rates are right, and that is missing among those that are paced, is a step without a change.
function find.rates(wanted, found)
  local paced, names, all = {}, {}, {}
  for _, pool in ipairs(base.named('paced')) do paced[pool] = true end
  both(paced, wanted, function(pool)
    local old, now, changes = base.hash(base.key('rates', pool)), wanted[pool] or {}, {}
    for field, kind in pairs(pace.FIELDS) do
      local was = kind == 'integer' and base.number(old[field]) or old[field]
      if was ~= now[field] then changes[#changes + 1] = { path = 'rates.' .. pool .. '.' .. field, was = was, now = now[field] } end
    end
    if not changes[1] and (paced[pool] ~= nil) == (next(now) ~= nil) then return end
    all[pool] = { kind = 'rates', name = pool, now = now, changes = changes }
    put(names, pool)
  end)
  for _, pool in ipairs(names) do found[#found + 1] = all[pool] end
end

function find.accounts(wanted, found)
  local old, names, all = {}, {}, {}
  for _, pool in ipairs(accounts.pools()) do old[pool] = true end
  both(old, wanted, function(pool)
    local was, now = accounts.names(pool), base.distinct(wanted[pool])
    local changes = one_change('accounts', pool, was and table.concat(was, ' '), now[1] and table.concat(now, ' ') or nil)
    if changes[1].was == changes[1].now then return end
    all[pool] = { kind = 'accounts', name = pool, now = now, changes = changes }
    put(names, pool)
  end)
  for _, pool in ipairs(names) do found[#found + 1] = all[pool] end
end

function find.weights(wanted, found)
  local old, names = base.numbers(base.key('weights')), {}
  both(old, wanted, function(limit_key)
    if old[limit_key] ~= wanted[limit_key] then put(names, limit_key) end
  end)
  add(found, 'weights', names, old, wanted)
end

function expect.limits(one) sound.key(one.name) end
function expect.rates(one) sound.key(one.name) end
function expect.accounts(one)
  base.expect('set', base.key('accounts', one.name))
  sound.key('accounts:' .. one.name)
  for _, name in ipairs(one.now) do base.expect('set', base.key('slots', 'account:' .. one.name .. '/' .. name)) end
end
function expect.weights() end

function take.limits(part) latch.set_limits(part) end

function take.rates(part)
  for _, one in ipairs(part) do
    local pool, fields = one.name, {}
    for field in pairs(pace.FIELDS) do fields[field] = one.now[field] or false end
    if one.changes[1] then ramp.settle(pool) end
    base.write(base.key('rates', pool), fields)
    base.name('paced', pool, next(one.now) ~= nil)
    if one.changes[1] then -- what waits is judged again
      pace.forget(pool)
      latch.time(pool)
      latch.open(pool)
    end
  end
end

function take.accounts(part)
  for _, one in ipairs(part) do accounts.set(one.name, one.now) end
end

-- They count from the next start on.
function take.weights(part)
  local fields = {}
  for _, one in ipairs(part) do fields[one.name] = one.now or false end
  base.write(base.key('weights'), fields)
  call.rare = nil
end

local ORDER = { 'limits', 'rates', 'accounts', 'weights' }

-- The first steps to what is asked for, sound to take; and whether there may be more.
function plan.find(ask)
  local found, part = {}, {}
  for _, kind in ipairs(ORDER) do
    if ask[kind] and #found < MOST_STEPS then find[kind](ask[kind], found) end
  end
  for i = 1, math.min(MOST_STEPS, #found) do
    part[i] = found[i]
    expect[part[i].kind](part[i])
  end
  return part, #found >= MOST_STEPS
end

-- Takes them, and notes what they change.
function plan.take(part, changes)
  for _, kind in ipairs(ORDER) do
    local of_kind = {}
    for _, one in ipairs(part) do
      if one.kind == kind then of_kind[#of_kind + 1] = one end
    end
    if of_kind[1] then take[kind](of_kind) end
  end
  for _, one in ipairs(part) do
    for _, each in ipairs(one.changes) do changes[#changes + 1] = each end
  end
end
