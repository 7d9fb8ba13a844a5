"""A plugin of pytest. It notes which places of an instrumented copy are evaluated, and writes them to a file."""

import builtins
import json
import os
from pathlib import Path

from mutants.mutate import HIT

FILE = "MUTANT_HITS"
"""The variable that names the file."""

reached: set[int] = set()
setattr(builtins, HIT, reached.add)


def pytest_unconfigure() -> None:
    """Write the numbers of the places."""
    Path(os.environ[FILE]).write_text(json.dumps(sorted(reached)))
