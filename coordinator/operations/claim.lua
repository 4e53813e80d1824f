-- claim: hand a host as many waiting workspaces as it has room for.
-- Answers claimed{grants[], refusal?, retry_in? (ms), more?}. The last seq answers the same again; an older one nothing.
verb.register {
  name = 'claim', writes = true, lean = true, question = drain.QUESTION,
  answer = function(ask)
    verb.begin_lean(nil, nil, ask.host)
    local answer = drain.claim(ask)
    answer.outcome = 'claimed'
    return answer
  end,
}
