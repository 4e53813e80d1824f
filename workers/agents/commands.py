"""From a runner and one piece of work to what a process needs: arguments, stdin text and environment. Pure functions.

`values` maps the placeholders (workspace, dir, task, agent, model, repo, branch, account) to text; one without a value
is empty.
"""

from collections.abc import Mapping
from typing import Final

from coordinator.config.runners import PLACEHOLDER, Runner
from coordinator.errors import WorkerError
from coordinator.words import shown
from workers.agents.builtin import COMMANDS
from workers.agents.sessions import Session

#: What every agent may see of the host's environment. Secrets are not among it: a runner names those it needs.
PASSED: Final = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_*", "TZ", "TMPDIR"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
)
#: Nobody watches: no colours, no questions.
SET: Final = {"TERM": "dumb", "NO_COLOR": "1", "CI": "true"}
_LONGEST_ARGUMENT: Final = 128 * 1024 - 1  # bytes; Linux takes no longer one


def argv(runner: Runner, values: Mapping[str, str], session: Session | None = None) -> tuple[str, ...]:
    """The program and its arguments. Raises WorkerError when a value can not be an argument of a process.

    `session` is for the adapters; a command has its own ways.
    """
    arguments = tuple(_filled(argument, values) for argument in (runner.command or ()) + runner.args)
    if runner.adapter:
        arguments = COMMANDS[runner.adapter](values.get("model", ""), arguments, session)
    for at, argument in enumerate(arguments):
        size = len(argument.encode(errors="surrogatepass"))
        if "\0" in argument or size > _LONGEST_ARGUMENT:
            said = "holds a NUL character" if "\0" in argument else f"has {size} bytes, more than {_LONGEST_ARGUMENT}"
            fix = "let the runner take the task on stdin, without {task}"
            raise WorkerError(f"argument {at} of {shown(arguments[0])} {said}; {fix}")
    return arguments


def stdin_text(runner: Runner, values: Mapping[str, str]) -> str:
    """What the agent reads on stdin before its end; empty for nothing."""
    if runner.stdin is None:
        used = not runner.adapter and any("{task}" in argument for argument in (runner.command or ()) + runner.args)
        return "" if used else values.get("task", "")
    if runner.stdin == "none":
        return ""
    return values.get("task", "") if runner.stdin == "task" else _filled(runner.stdin, values)


def environment(runner: Runner, environ: Mapping[str, str], account: str = "") -> dict[str, str]:
    """The agent's environment: the usual variables of `environ`, those the runner names, and those it sets.

    In what it sets `{account}` is the account of the run; all other braces stay as they are.
    """
    named = tuple(name for name, value in runner.env.items() if value is None)
    own = {name: value.replace("{account}", account) for name, value in runner.env.items() if value is not None}
    return _passed(environ, PASSED) | SET | _passed(environ, named) | own


def _passed(environ: Mapping[str, str], patterns: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if any(_matches(name, pattern) for pattern in patterns)}


def _matches(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _filled(text: str, values: Mapping[str, str]) -> str:
    # In one pass: what a value holds is never looked at again, so a task that says {repo} keeps saying it.
    return PLACEHOLDER.sub(lambda found: values.get(found[1], ""), text)
