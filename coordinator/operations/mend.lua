-- mend: put right what of these keys disagrees with the records, where they prove it. What is only suspicious is told and let be.
-- Answers mended{found[], count, cursor?, more?}, or refused{refusal} while the hosts have not told what they hold.
verb.register {
  name = 'mend', writes = true,
  question = { keys = { is = 'list', must = true, of = 'path', most = orphans.MOST_KEYS }, cursor = 'id', by = 'line' },
  answer = function(ask)
    local ends = gates.settling()
    if ends then
      return { outcome = 'refused', refusal = { key = '*', reason = 'settling', used = gates.used('*'), ['until'] = ends,
        text = 'settling: what a host has not told of yet would look lost' } }
    end
    local found, cursor = orphans.part(ask.keys, ask.cursor)
    local count = mends.take(found, ask.by)
    return { outcome = 'mended', found = mends.view(found), count = count, cursor = cursor, more = cursor and true or nil }
  end,
}
