-- Its place in line: which lanes of its route go before the lane of a workspace that waits, and in which band it stands.
-- Read by rank, whatever waits.

-- Answers how many lanes go first, and the priority that it has aged to, or nil. Those go first that stand in the same place
-- (ready, or refused by the same key) in front of it, and those that are ready with a better score. A key that has just opened
-- counts as one lane: who of its group goes first is found by who claims.
function standing.of(lane)
  local route, _, own = queue.parts(lane)
  local where = redis.call('HGET', base.key('lanes', route), lane)
  if not where then return nil end
  local ready, place = base.key('ready', route), queue.place_of(route, where)
  local score, rank = redis.call('ZSCORE', place, lane), redis.call('ZRANK', place, lane)
  if not score then return nil end
  if where ~= '' then
    rank = rank + redis.call('ZCOUNT', ready, '-inf', '(' .. score)
    local mark = redis.call('ZSCORE', ready, '@' .. where)
    if mark and tonumber(mark) < tonumber(score) then rank = rank - 1 end -- it stands for who was counted
  end
  local band = fair.band(tonumber(score))
  return rank, band > own and math.floor(band / 2) or nil
end
