"""A first agents.yaml for this machine, from the agent programs found on it."""

from collections.abc import Iterable
from typing import Final

#: The lines of a runner for each agent program we can write one for, by the program's name.
_RUNNERS: Final = {
    "claude": (
        "adapter: claude",
        "# It may edit files, and nothing more. To let it run any command, where that is safe:",
        "# args: [--permission-mode, bypassPermissions]",
        "# env: [ANTHROPIC_API_KEY]  # pass a variable through; agents see only a few",
    ),
    "codex": ("adapter: codex", "# env: [CODEX_API_KEY]"),
    "gemini": (
        "adapter: gemini  # says yes to every tool; for less: args: [--approval-mode, auto_edit]",
        "# env: [GEMINI_API_KEY]",
    ),
    "opencode": ("command: [opencode, run, --format, json, '{task}']",),
    "aider": ("command: [aider, --yes-always, --no-stream, --message, '{task}']",),
    "cursor-agent": ("command: [cursor-agent, -p, --output-format, stream-json, --trust, --force, '{task}']",),
    "copilot": ("command: [copilot, --output-format, json, --no-ask-user, --allow-all-tools, -p, '{task}']",),
}
#: The programs worth looking for on PATH.
PROGRAMS: Final = tuple(_RUNNERS)

_HEAD: Final = """\
# What the fleet is: which agents there are and how many may run at once.
# Check it with: coordinator config check    Apply a change with: coordinator config apply
version: 1

dispatch:
{default}  # lease_ttl: 5m     # how long a silent host keeps its agents' slots
  # max_attempts: 3   # how often a lost workspace is run
  # timeout_minutes: 60  # of a run whose runner names no timeout; 0: none

# The most that may run at once, over all hosts. 0 means no limit.
concurrency:
{limits}  # my-agent: {{total: 5, big: 1}}     # a pool, and one of its models
  # "repo:*": 2                      # for every repository
  # "*": 20                          # for the whole fleet
# accounts: {{my-agent: [work, home]}}   # each run gets one of them
"""
_RUNNERS_HEAD: Final = """
# How this host starts an agent: an argument list, never a shell text. {workspace} {dir} {task} {agent} {model} {repo}
# {branch} and {account} are filled in; the task comes on stdin unless an argument holds {task}. Only this host's own
# file counts.
runners:
"""
_EXAMPLE: Final = """\
  # my-agent:
  #   command: [my-agent, --model, '{model}', '{task}']
  #   timeout: 60m
  #   memory: 2G        # what one is reckoned at
  #   memory_max: 4G    # one that takes more is ended
  #   stalled: 15m      # no output, no work and no changed file for so long: ended
"""


def starter(found: Iterable[str]) -> str:
    """The text of an agents.yaml for the programs named in `found`; those not in PROGRAMS are left out."""
    there = set(found)
    pools = [program for program in PROGRAMS if program in there]
    default = f"  default_agent: {pools[0]}\n" if pools else "  # default_agent: claude   # for work that names none\n"
    limits = "".join(f"  {pool}: 1\n" for pool in pools)
    runners = "".join(f"  {pool}:\n" + "".join(f"    {line}\n" for line in _RUNNERS[pool]) for pool in pools)
    return _HEAD.format(default=default, limits=limits) + _RUNNERS_HEAD + runners + _EXAMPLE
