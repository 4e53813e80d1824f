-- What a question may hold. Every verb lists its fields; one walk names everything that is wrong with them.
local ENDED = { completed = true, merged = true, ['ready-for-review'] = true, failed = true, blocked = true }
local MIB = 1048576

local function matches(text, longest, pattern) return #text <= longest and text:find(pattern) ~= nil end

-- No part between slashes is empty, or nothing but dots.
local function parts_are_names(text)
  text = '/' .. text .. '/'
  return not text:find('//') and not text:find('/%.+/')
end

local names = {}
function names.workspace(v)
  return matches(v, 200, '^%w[%w._+@#=,/-]*$') and parts_are_names(v) and not v:find('/[+@#=,-]'),
    'must be a relative path of letters, digits and . _ - + @ # = , like core/go-io/task-5'
end
function names.agent(v)
  return matches(v, 100, '^%w[%w._-]*$') or matches(v, 100, '^%w[%w._-]*:%w[%w._:/@+-]*$'),
    'must be base or base:model, like codex:gpt-5.4'
end
function names.pool(v) return matches(v, 100, '^%w[%w._-]*$'), 'must be a pool, like codex: its models share its pace' end
function names.host(v) return matches(v, 64, '^%w[%w._-]*$'), 'must be letters, digits and . _ - , like build-1' end
function names.account(v) return matches(v, 50, '^%w[%w._@+-]*$'), 'must be letters, digits and . _ @ + - , like work' end
function names.label(v) return matches(v, 64, '^%w[%w._=/-]*$'), 'must be letters, digits and . _ = / - , like gpu' end
function names.key(v)
  if v:find('^accounts:') then return false, "must not be a pool's accounts together: name the pool, or one like account:codex/work" end
  return v == '*' or matches(v, 160, '^%w[%w._:/@+*=-]*$'), 'must be * or a limit key like repo:core/go-io'
end
question.is_key, question.is_label, question.is_host = names.key, names.label, names.host
function names.repo(v) return matches(v, 100, '^%w[%w._-]*$'), 'must be letters, digits and . _ - , like go-io' end
function names.repo_path(v) return matches(v, 201, '^%w[%w._/-]*$'), 'must be org/repo, like core/go-io' end
function names.branch(v)
  return matches(v, 200, '^[^%c%s-][^%c%s]*$') and not v:find('..', 1, true), 'must be a git branch name, like agent/task-5'
end

-- cjson lets any byte through; a reader of the record must be able to decode it.
local function is_utf8(text)
  if not text:find('[\128-\255]') then return true end
  text = text:gsub('[\194-\223][\128-\191]', '.'):gsub('\224[\160-\191][\128-\191]', '.')
    :gsub('\237[\128-\159][\128-\191]', '.'):gsub('[\225-\236\238\239][\128-\191][\128-\191]', '.')
    :gsub('\240[\144-\191][\128-\191][\128-\191]', '.'):gsub('\244[\128-\143][\128-\191][\128-\191]', '.')
    :gsub('[\241-\243][\128-\191][\128-\191][\128-\191]', '.')
  return not text:find('[\128-\255]')
end

function names.task(v) return #v <= MIB, 'must be at most 1 MiB of text, got ' .. #v .. ' bytes' end
function names.text(v) return #v <= 65536, 'must be at most 64 KiB of text' end
function names.line(v) return matches(v, 500, '^[^%c]*$'), 'must be one line of at most 500 characters' end
function names.channel(v)
  if not v:find('[^ ]') then return false, 'is required' end
  return names.line(v)
end
function names.path(v) return matches(v, 4096, '^[^%z\n]+$'), 'must be a path of at most 4096 bytes' end
function names.id(v) return matches(v, 100, '^[%w._:-]+$'), 'must be letters, digits and . _ : -' end
function names.status(v)
  return v == 'queued' or v == 'running' or ENDED[v] or false,
    'must be one of queued running completed merged ready-for-review failed blocked'
end
question.is_status = names.status
function names.ended(v) return ENDED[v] or false, 'must be one of completed merged ready-for-review failed blocked' end
function names.mode(v) return v == 'pull' or v == 'push', 'must be pull or push' end
function names.otherwise(v) return v == 'queue' or v == 'refuse', 'must be queue or refuse' end
function names.action(v) return v == 'quiet' or v == 'thaw' or v == 'forget', 'must be quiet, thaw or forget' end
function names.seq(v) return matches(v, 40, '^%d+%-?%d*$'), 'must be the id of a stream entry, like 1720000000000-0' end

local function is_number(token)
  local whole, rest = token:match('^%-?(%d+)(.*)$')
  if not whole or whole:find('^0%d') then return false end
  return rest:gsub('^%.%d+', ''):gsub('^[eE][+-]?%d+$', '') == ''
end

-- One JSON value by the letter, at most 64 deep: it is told as it stands. cjson also reads nan, 0x10, 01 and what follows a NUL.
local function is_json(v)
  if v:find('[%z\1-\8\11\12\14-\31]') or not pcall(cjson.decode, v) then return false end
  local raw, depth = false, 0
  local bare = v:gsub('\\.', ''):gsub('"[^"]*"', function(text)
    raw = raw or text:find('[%z\1-\31]') ~= nil
    return '""'
  end)
  for token in bare:gmatch('[^%s%[%]{},:"]+') do
    if token ~= 'true' and token ~= 'false' and token ~= 'null' and not is_number(token) then return false end
  end
  for bracket in bare:gmatch('[%[%]{}]') do
    depth = depth + (bracket:find('[%[{]') and 1 or -1)
    if depth > 64 then return false end
  end
  return not raw
end
function names.json(v) return #v <= 65536 and is_json(v), 'must be the text of one JSON value, at most 64 KiB and 64 deep' end

local walk -- forward, for nested shapes

local function fault(problems, path, problem, fix) problems[#problems + 1] = { field = path, problem = problem, fix = fix or '' } end

local kinds = {}
function kinds.integer(rule, v, path, problems)
  if type(v) ~= 'number' or v ~= math.floor(v) or v < 0 or v >= 1e14 then
    return fault(problems, path, 'must be a whole number from 0 to 99999999999999', 'write ' .. path .. ': 1')
  end
  if rule.most and v > rule.most then fault(problems, path, 'must be at most ' .. rule.most) end
  if rule.least and v < rule.least then fault(problems, path, 'must be at least ' .. rule.least) end
end
function kinds.signed(_, v, path, problems)
  if type(v) ~= 'number' or v ~= math.floor(v) or v <= -1e14 or v >= 1e14 then fault(problems, path, 'must be a whole number') end
end
function kinds.boolean(_, v, path, problems)
  if type(v) ~= 'boolean' then fault(problems, path, 'must be true or false') end
end
function kinds.list(rule, v, path, problems)
  if type(v) ~= 'table' or (next(v) ~= nil and #v == 0) then return fault(problems, path, 'must be a list') end
  if #v > (rule.most or 64) then return fault(problems, path, 'must have at most ' .. (rule.most or 64) .. ' entries') end
  for i, one in ipairs(v) do walk(rule.of, one, path .. '.' .. (i - 1), problems) end
end
function kinds.map(rule, v, path, problems)
  if type(v) ~= 'table' or #v > 0 then return fault(problems, path, 'must be an object') end
  local count = 0
  for name, one in pairs(v) do
    count = count + 1
    local text = tostring(name)
    local place = path .. '.' .. (text == '' and "''" or text:sub(1, 60):gsub('[^\32-\126]', '?')) -- short, and UTF-8
    local fine, why = names[rule.names](text)
    if not fine then fault(problems, place, why) end
    walk(rule.of, one, place, problems)
  end
  local most = rule.most or 4096
  if count > most then fault(problems, path, 'must have at most ' .. most .. ' entries') end
end
function kinds.shape(rule, v, path, problems)
  if type(v) ~= 'table' or #v > 0 then return fault(problems, path, 'must be an object') end
  question.fields(rule.fields, v, path .. '.', problems)
end

local plain = {} -- a kind that is all there is to say, as a rule

walk = function(rule, v, path, problems)
  if type(rule) == 'string' then
    plain[rule] = plain[rule] or { is = rule }
    rule = plain[rule]
  end
  if v == cjson.null then return fault(problems, path, 'must not be null', 'leave the field out') end
  if kinds[rule.is] then return kinds[rule.is](rule, v, path, problems) end
  if type(v) ~= 'string' then return fault(problems, path, 'must be a text') end
  if not is_utf8(v) then return fault(problems, path, 'must be UTF-8 text') end
  local fine, why = names[rule.is](v)
  if not fine then fault(problems, path, why) end
end

-- fields: name -> kind, or {is = kind, must = true, ...}. Unknown fields are ignored.
function question.fields(fields, v, prefix, problems)
  for name, rule in pairs(fields) do
    if v[name] ~= nil then
      walk(rule, v[name], prefix .. name, problems)
    elseif type(rule) == 'table' and rule.must then
      fault(problems, prefix .. name, 'is required')
    end
  end
end

-- The question as a table, or nil and its problems.
function question.read(text, fields)
  local fine, ask = pcall(cjson.decode, text or '')
  if fine and text:find('0[xX]') and text:gsub('\\.', ''):gsub('"[^"]*"', ''):find('0[xX]') then fine = false end
  if not fine or type(ask) ~= 'table' or not text:find('^%s*{') then
    return nil, { { field = '', problem = 'the question must be one JSON object', fix = 'write {"workspace":"core/go-io/task-5"}' } }
  end
  local problems = {}
  question.fields(fields, ask, '', problems)
  table.sort(problems, function(a, b) return a.field < b.field end)
  if #problems > 0 then return nil, problems end
  return ask
end
