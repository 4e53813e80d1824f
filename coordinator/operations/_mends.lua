-- Mends: what each kind of fault becomes where the records prove it. None ends a run, and none starts one by itself.
-- `expect.<mend>(fault)` checks what it will write beside the key that the fault was read from; then `mend.<mend>(fault)` writes.
local expect, mend = {}, {}

local function row_of(one) return lease.record(one.workspace) or {} end

-- Whoever waits for a key that was given back looks.
function expect.vacate(one) sound.key(one.of) end
function mend.vacate(one)
  redis.call('SREM', base.key(one.key), one.workspace)
  call.used = {}
  latch.open_all(accounts.with_group { one.of })
  if one.of == '*' then latch.open('*') end
end

function mend.release(one)
  redis.call('SREM', base.key(one.key), one.workspace)
  offers.room(one.of, false)
end

local REMOVE = { SSCAN = 'SREM', ZSCAN = 'ZREM', HSCAN = 'HDEL' }

function mend.take_out(one)
  redis.call(REMOVE[faults.each[one.key:match('^[^:]+')][1]], base.key(one.key), one.member or one.workspace)
  call.ended = call.ended or one.ended -- it may have been the last that was thought to wait or run
end

function expect.leave(one) sound.lane(one.of) end
function mend.leave(one) queue.remove(one.workspace or '', one.of) end

expect.stand = expect.leave
function mend.stand(one)
  local route = queue.parts(one.of)
  redis.call('HDEL', base.key('lanes', route), one.of)
  redis.call('ZREM', base.key('ready', route), one.of)
  local head, score = base.first(base.key('lane', one.of))
  queue.add(head, one.of, tonumber(score))
end

function expect.mark(one)
  sound.group(one.of, one.route)
  base.expect('zset', base.key('ready', one.route))
end
function mend.mark(one) queue.mark(one.of, one.route) end

function expect.displace(one)
  base.expect('zset', base.key('ready', one.route))
  if one.where ~= '' then sound.group(one.where, one.route) end
end
function mend.displace(one)
  redis.call('ZREM', base.key(one.key), one.of)
  if one.where ~= '' then queue.mark(one.where, one.route) end
end

function expect.group(one)
  expect.mark(one)
  sound.key(one.of, true)
end
function mend.group(one)
  redis.call('SADD', base.key('groups', one.of), one.route)
  redis.call('ZADD', base.key('blocked'), 0, one.of)
  latch.open(one.of)
end

expect.open = expect.vacate
function mend.open(one) latch.open(one.of) end

function expect.wait(one)
  local row = sound.record(one.workspace)
  if row then sound.run(one.workspace, row, nil, 'queued') end
end
function mend.wait(one) later.enter(one.workspace, row_of(one)) end

local SINCE = { running = 'started_at', queued = 'queued_at' }

function mend.list(one)
  local row = row_of(one)
  local since = base.number(row[SINCE[row.status] or 'ended_at']) or call.now
  redis.call('ZADD', base.key(one.key), string.format('%.0f', math.min(since, call.now)), one.workspace)
end

-- A run is a fact: it holds its slots also beyond a limit.
function mend.occupy(one)
  redis.call('SADD', base.key(one.key), one.workspace)
  call.used = {}
end

function mend.hold(one) redis.call('SADD', base.key(one.key), one.workspace) end

function mend.lend(one)
  local row = row_of(one)
  local deadline = base.until_after(row.mode == 'asker' and base.number(row.ttl) or base.setting('lease_ttl'))
  redis.call('ZADD', base.key(one.key), deadline, one.workspace)
  facts.due(deadline)
end

function expect.register(one) base.expect('hash', base.key('host', one.of)) end
function mend.register(one)
  local beat = base.count(redis.call('HGET', base.key('host', one.of), 'beat'))
  redis.call('ZADD', base.key('hosts'), beat, one.of)
end

local function is_so(one, now)
  for _, other in ipairs(now) do
    if other.key == one.key and other.workspace == one.workspace and other.mend == one.mend then return true end
  end
  return false
end

-- What a mend will write holds. A damaged key keeps no other from being mended.
local function may(one)
  local check = expect[one.mend]
  if not check then return true end
  local fine, damage = sound.holds(check, one)
  if not fine then one.mend, one.text = nil, one.text .. '; first mend ' .. damage.damaged.key end
  return fine
end

-- Mends what still is so; answers how many it mended. Each is checked when its turn comes: what was mended before it may have
-- made keys known that it will touch.
function mends.take(found, by)
  local count = 0
  for _, looked in ipairs(found) do
    local now = orphans.again(looked)
    for _, one in ipairs(looked.faults) do
      if one.mend and is_so(one, now) and may(one) then
        facts.tell('Mended', { class = one.class, key = one.key, workspace = one.workspace, text = one.text, by = by })
        mend[one.mend](one)
        one.mended, count = true, count + 1
      end
    end
  end
  return count
end

-- As an answer tells them.
function mends.view(found)
  local out = {}
  for _, looked in ipairs(found) do
    for _, one in ipairs(looked.faults) do
      out[#out + 1] = { class = one.class, key = one.key, workspace = one.workspace, text = one.text, mend = one.mend,
        ['until'] = one['until'], mended = one.mended }
    end
  end
  return out
end
