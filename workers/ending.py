"""From how a process ended to what that means: a pure function."""

import signal

from coordinator.operations.complete import Ending
from workers.run import Exit


def ending(workspace: str, token: int, exit_: Exit, question: str | None) -> Ending:
    """The ending to report. A question the agent left goes first, then what ended it, then its exit code.

    Only an order from outside is stronger than a question: to kill it, to stop it, or a lease that was lost.
    """
    if exit_.left:
        return _unproved(workspace, token, exit_, question)
    if question and exit_.reason not in ("killed", "stopped", "lost"):
        return Ending(workspace=workspace, token=token, status="blocked", verdict="blocked", question=question,
                      exit_code=exit_.code)  # fmt: skip
    if exit_.reason == "exited" and exit_.code == 0:
        return Ending(workspace=workspace, token=token, status="completed", verdict="succeeded", exit_code=0)
    verdict, text = _failure(exit_)
    return Ending(
        workspace=workspace, token=token, status="failed", verdict=verdict, question=text, exit_code=exit_.code
    )


def _unproved(workspace: str, token: int, exit_: Exit, question: str | None) -> Ending:
    """Nobody is handed a workspace in which something of an earlier run may write, until a person says so."""
    living = ", ".join(f"{each.pid} {each.command}" for each in exit_.left[:10])
    also = question or (_failure(exit_)[1] if exit_.code != 0 or exit_.reason != "exited" else "")
    said = f"no proof of death: these could not be ended: {living}" + (f"\n{also}" if also else "")
    return Ending(workspace=workspace, token=token, status="blocked", verdict="lost", question=said,
                  exit_code=exit_.code)  # fmt: skip


def _failure(exit_: Exit) -> tuple[str, str]:
    match exit_.reason:
        case "exited" if exit_.signal:
            return "failed", f"Agent was ended by {_signal(exit_.signal)}"
        case "exited":
            return "failed", f"Agent exited with code {exit_.code}"
        case "timeout":
            return "timed_out", exit_.error or "Agent timed out"
        case "memory":
            return "out_of_memory", exit_.error
        case "output":
            return "too_much_output", exit_.error
        case "killed":
            return "killed", "killed on request"
        case "stopped":
            return "stopped", "the worker was stopped; retry queues it again"
        case "lost":
            return "lost", "the lease was lost"
        case reason:
            return reason, exit_.error or reason


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
