-- what_if: what would start now, were these limits in force and did every host that waits claim at once. Read-only.
-- Answers supposed{starts[{workspace, host, agent, repo?}], more?, refusal?, kept[{workspace, refusal}]}.
local MOST = 64

verb.register {
  name = 'what_if', question = {
    limits = { is = 'map', names = 'key', of = 'integer', most = MOST }, clear = { is = 'list', of = 'key', most = MOST },
    count = { is = 'integer', least = 1, most = MOST },
  },
  answer = function(ask)
    local limits = {}
    for limit_key, limit in pairs(ask.limits or {}) do limits[limit_key] = limit end
    for _, limit_key in ipairs(ask.clear or {}) do limits[limit_key] = false end
    local answer = suppose.limits(limits, ask.count or 16)
    answer.outcome = 'supposed'
    return answer
  end,
}
