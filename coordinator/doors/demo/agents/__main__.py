"""`python -m agents KIND`: one agent, which marks its start before it loads what it needs."""

import importlib
import sys

from .marked import marked

if __name__ == "__main__":
    with marked():
        importlib.import_module(f".{sys.argv[1]}", __package__).main()
