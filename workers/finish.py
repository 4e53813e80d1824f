"""From an agent that has ended to what is said of it, and what is left of it on disk."""

from coordinator.operations.complete import Ending
from workers.ending import ending
from workers.run import Exit
from workers.sessions import session_of
from workers.workspace import Workspace


def told(workspace: Workspace, token: int, exit_: Exit) -> Ending:
    """The ending to report, with the session it was in, from what it left."""
    said = ending(workspace.name, token, exit_, workspace.question())
    session = session_of(workspace, token, failed=said.status == "failed")
    return said.model_copy(update={"session": session})


def finished(workspace: Workspace, said: Ending, exit_: Exit) -> None:
    """Write status.json of a run that has ended, and the mark of one that took too long. Raises WorkspaceError."""
    workspace.write({"status": said.status, "pid": None, "question": said.question, "session": said.session})
    if exit_.reason == "timeout":
        workspace.timed_out(exit_.error or "Agent timed out")
