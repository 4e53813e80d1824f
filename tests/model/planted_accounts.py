"""Bugs planted in the accounts of a pool: the model must catch every one."""

from typing import Final

from tests.model.plant import Plant

ACCOUNTS: Final = (
    Plant(
        "accounts_not_judged",
        "A run starts also where no account of its pool may.",
        " or at == 1 and accounts.refuses(limit_key)",
        "",
    ),
    Plant(
        "judged_by_the_first_account",
        "A pool waits for its first account while another has room.",
        "for _, member in ipairs(accounts.members(pool)) do\n    local no",
        "for _, member in ipairs({ accounts.members(pool)[1] }) do\n    local no",
    ),
    Plant(
        "account_not_given_back",
        "The end of a run leaves its account taken.",
        "function lease.release(name, row)\n  local keys = lease.holds(row)",
        "function lease.release(name, row)\n  local keys = lease.keys(row)",
    ),
    Plant(
        "ending_opens_no_group",
        "An account that gets room again wakes nobody.",
        "latch.open_all(accounts.with_group(keys), looked and looked.blocked)",
        "latch.open_all(keys)",
    ),
    Plant(
        "account_opens_no_group",
        "An account whose limit is raised, or whose gate opens, wakes nobody.",
        "if pool and has_group(pool) then latch.open(group_of(pool)) end",
        "if pool and has_group(pool) then base.key(group_of(pool)) end",
    ),
    Plant(
        "fullest_account_first",
        "Of two accounts the one with less room is taken.",
        "if not best or free > room or",
        "if not best or free < room or",
    ),
    Plant(
        "named_account_ignored",
        "A run that names an account of its pool is given another.",
        "ipairs(chosen[1] and chosen or members)",
        "ipairs(members)",
    ),
    Plant(
        "limit_shuts_the_pool",
        "One account that met its limit stops all the others.",
        "return has_group(pool) and accounts.held(row) or pool",
        "return pool",
    ),
    Plant(
        "latest_account_told",
        "People are told the time at which the last account opens.",
        "no['until'] < ends)",
        "no['until'] > ends)",
    ),
    Plant(
        "new_account_unfelt",
        "A pool that is given one account more, or needs none any more, goes on waiting.",
        "call.accounts = nil\n  latch.open",
        "call.accounts = nil\n  base.key",
    ),
    Plant(
        "default_opens_no_group",
        "A raised default of accounts is not felt by what waits for any of them.",
        "kind == 'account:' and 'accounts:' or nil",
        "nil",
    ),
    Plant(
        "account_kept_in_the_queue",
        "What waits still names the account of an earlier run.",
        "  fields.account = false\n",
        "",
    ),
)
