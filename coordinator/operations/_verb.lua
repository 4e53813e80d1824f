-- How a question becomes an answer: read it, check what will be touched, act, wake whom it concerns, answer.
-- What a call does first, so that nothing waits for a tick: due timers, unanswered pokes, an unfinished walk.
function verb.tidy(most)
  local opened, looked = latch.fire(most), later.fire(most)
  fair.age(most)
  hosts.overdue(most)
  defaults.walk()
  return opened, looked
end

-- What the verbs that are asked all the time do first: see sound.lean. `due` is never later than what it tells of.
function verb.begin_lean(row, to, host)
  sound.lean(row, to, host)
  hosts.new_epoch()
  local due = base.number(call.control.due)
  if not due or due <= call.now then
    facts.sound()
    verb.tidy(8)
  end
end

-- One call of a verb, of a question that was read.
function verb.run(rule, root, ask)
  base.begin(root)
  if rule.writes and not rule.lean then
    sound.shared()
    hosts.new_epoch()
  end
  local answer = rule.answer(ask)
  if rule.writes then
    offers.serve(1)
    facts.drained()
    fair.flush()
    base.flush()
  end
  return answer
end

local function act(rule, root, text)
  local ask, problems = question.read(text, rule.question)
  if not ask then return { outcome = 'invalid', problems = problems } end
  if ask.lib and ask.lib > base.LIB then return { outcome = 'outdated' } end
  return verb.run(rule, root, ask)
end

verb.rules = {}

-- {name, question = fields, writes = bool, frees = bool, lean = bool, answer = function(ask)}. A verb that frees runs when memory
-- is full; one that is lean calls verb.begin_lean itself.
function verb.register(rule)
  verb.rules[rule.name] = rule
  rule.question.lib = 'integer'
  local flags = {}
  if not rule.writes then flags[#flags + 1] = 'no-writes' end
  if rule.frees then flags[#flags + 1] = 'allow-oom' end
  local function callback(keys, args)
    if #keys ~= 1 or #args ~= 1 then
      return redis.error_reply('ERR write FCALL dispatch_' .. rule.name .. ' 1 {dispatch} \'{...}\': one key, the root, and one JSON object')
    end
    local fine, answer = pcall(act, rule, keys[1], args[1])
    if not fine then
      if type(answer) ~= 'table' or not answer.damaged then error(answer, 0) end
      answer.damaged.outcome = 'damaged'
      answer = answer.damaged
    end
    answer.lib = base.LIB
    return base.encode(answer)
  end
  redis.register_function { function_name = 'dispatch_' .. rule.name, callback = callback, flags = flags }
end
