-- faults: what of these keys disagrees with the records: leaked, doubled and orphaned entries. Read-only.
-- Answers faults{found[{class, key, workspace?, text, mend?, until?}], cursor?, settling?}: ask again with the cursor for the next part.
verb.register {
  name = 'faults', question = { keys = { is = 'list', must = true, of = 'path', most = orphans.MOST_KEYS }, cursor = 'id' },
  answer = function(ask)
    local found, cursor = orphans.part(ask.keys, ask.cursor)
    return { outcome = 'faults', found = mends.view(found), cursor = cursor, settling = gates.settling() }
  end,
}
