"""Which session a run is in. Kept in `.meta/session.json`, since a session lies on this disk and nowhere else."""

import logging
import uuid
from typing import Any, Final

from coordinator.config.runners import Runner
from coordinator.errors import WorkspaceError
from coordinator.models import Grant
from coordinator.words import pool_of
from workers.agents.builtin import HABITS
from workers.agents.sessions import UUID, Session
from workers.workspace import Workspace

log = logging.getLogger(__name__)
_OURS: Final = uuid.UUID("5a0c0a57-1d0f-4b39-9c8e-6f1f0d6c2e11")


def session_for(grant: Grant, workspace: Workspace, runner: Runner, host: str) -> Session | None:
    """The session to start a run in; None where its program chooses, keeps none, or an operator chose by `args`.

    An earlier one goes on only with an answer, and only where it was: when the grant names the session that this host
    wrote down in this directory for the same pool and account. The id in a grant may be anybody's: only a UUID becomes
    an argument.
    """
    habits = HABITS.get(runner.adapter or "")
    if habits is None or not habits.left_to_us(runner.args):
        return None
    kept = workspace.session()
    was = (kept.get("host"), kept.get("pool"), kept.get("account"), kept.get("session"))
    here = was == (host, pool_of(grant.agent), grant.account, grant.session)
    if grant.answer is not None and grant.session and here and UUID.fullmatch(grant.session):
        return Session(grant.session, goes_on=True)
    if habits.named:
        return None
    return Session(str(uuid.uuid5(_OURS, f"{host} {grant.workspace} {grant.token}")))


def note(grant: Grant, workspace: Workspace, runner: Runner, host: str, session: Session | None) -> None:
    """Write down which session a run is in before it starts, so that whoever sees its end knows."""
    named = HABITS[runner.adapter].named if runner.adapter else None
    workspace.keep_session({
        "token": grant.token, "host": host, "pool": pool_of(grant.agent), "adapter": runner.adapter if named else None,
        "account": grant.account, "session": session.id if session else None,
        "goes_on": bool(session and session.goes_on),
    })  # fmt: skip


def session_of(workspace: Workspace, token: int, *, failed: bool) -> str | None:
    """The session that the run of this token was in; None when it is not known.

    One that went on and failed is not gone on with again: its program may not have it any more.
    """
    kept = workspace.session()
    if kept.get("token") != token:
        return None
    habits, found = HABITS.get(str(kept.get("adapter"))), _text(kept.get("session"))
    if habits and habits.named:
        found = habits.named(workspace.said(str(kept.get("pool"))))
    again = None if failed and kept.get("goes_on") else found
    if again != kept.get("session"):
        try:
            workspace.keep_session({**kept, "session": again})
        except WorkspaceError as error:  # a full disk makes no failure of a run that has ended
            log.warning("session not written down workspace=%s: %s", workspace.name, error)
    return found


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and UUID.fullmatch(value) else None
