"""From an agent that has ended to what is said of it, and what is left of it on disk."""

from coordinator.operations.complete import Ending
from workers.ending import ending
from workers.receipt import receipt
from workers.run import Exit, Order
from workers.sessions import session_of
from workers.workspace import Workspace


def told(workspace: Workspace, token: int, exit_: Exit) -> Ending:
    """The ending to report, with the session it was in and its receipt, from what it left."""
    said = ending(workspace.name, token, exit_, workspace.question())
    session = session_of(workspace, token, failed=said.status == "failed")
    return said.model_copy(update={"session": session, "receipt": receipt(exit_)})


def failed(workspace: str, token: int, order: Order | None, why: str) -> Ending:
    """The ending of a run that was not, or of which nothing is known. One that was ordered to end is no failure."""
    verdict = order or "start_failed"
    return Ending(workspace=workspace, token=token, status="failed", verdict=verdict, question=why[:2000])


def known(workspace: Workspace, token: int) -> Ending | None:
    """How a run ended that was here before, as status.json says it; None of one that is new, or has not ended.

    A server that came back without its last words may grant it again, to a worker that did not see it.
    """
    said = workspace.read()
    if said.get("token") != token:
        return None
    kept = {name: said[name] for name in ("status", "question", "session") if name in said}
    try:
        return Ending(workspace=workspace.name, token=token, **kept)
    except ValueError:  # it runs, or somebody else wrote there
        return None


def finished(workspace: Workspace, said: Ending, exit_: Exit) -> None:
    """Write status.json of a run that has ended, and the mark of one that took too long. Raises WorkspaceError."""
    workspace.write({
        "status": said.status, "pid": None, "question": said.question, "session": said.session,
        "cpu_ms": exit_.cpu_ms, "peak_memory": exit_.peak_memory,
    })  # fmt: skip
    if exit_.reason == "timeout":
        workspace.timed_out(exit_.error or "Agent timed out")
