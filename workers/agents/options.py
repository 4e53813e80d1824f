"""Options that an operator's own arguments replace."""


def unless(args: tuple[str, ...], flags: tuple[str, ...], otherwise: tuple[str, ...]) -> tuple[str, ...]:
    """`otherwise`, or nothing when `args` already holds one of `flags` (as `--flag value` or `--flag=value`).

    Programs differ in what an option given twice means: some take the last, some refuse to start.
    """
    return () if any(arg.partition("=")[0] in flags for arg in args) else otherwise
