"""Everything that can go wrong by surprise. A refusal is not here: it is a value with numbers.

CoordinatorError                 the base of all; the message defaults to the class docstring
├── ConfigError(problems)        the environment or agents.yaml is wrong; every problem, each with its path
├── InvalidQuestion(problems)    a verb was asked with a wrong field; every problem, each with its mend
├── StoreUnavailable             Redis did not answer in time; asking again is safe
├── StoreUnusable                Redis answers, but can not serve: too old, read-only, full, without rights
├── LibraryError                 the function library and its caller disagree: a bug, never retried
└── WorkerError                  a host can not do its part
    ├── HostTaken                another live worker uses this host name
    ├── GuardError               the guard of an agent process could not be started or reached
    └── WorkspaceError           a workspace directory can not be used
"""

from typing import NamedTuple


class Problem(NamedTuple):
    """One thing wrong with an input: where it is, what is wrong, and what to write instead."""

    field: str
    problem: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}" + (f"; {self.fix}" if self.fix else "")


class CoordinatorError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class _WithProblems(CoordinatorError):
    """One or more problems, each with its place."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class ConfigError(_WithProblems):
    """The environment or agents.yaml is wrong."""


class InvalidQuestion(_WithProblems):
    """A verb was asked with a wrong field."""


class StoreUnavailable(CoordinatorError):
    """Redis did not answer in time; nothing is known of the call, and asking again is safe."""


class StoreUnusable(CoordinatorError):
    """Redis answers but can not serve this fleet."""


class LibraryError(CoordinatorError):
    """The function library and its caller disagree."""


class WorkerError(CoordinatorError):
    """A host can not do its part."""


class HostTaken(WorkerError):
    """Another live worker uses this host name."""


class GuardError(WorkerError):
    """The guard of an agent process could not be started or reached."""


class WorkspaceError(WorkerError):
    """A workspace directory can not be used."""


def first(error: BaseException) -> BaseException:
    """The first error of a group (loops that run side by side end as one), or `error` itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
