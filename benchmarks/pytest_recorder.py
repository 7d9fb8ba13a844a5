"""A plugin for plain pytest: writes what its own summary counts, one JSON line for each item, to $RECORD."""

import json
import os
from pathlib import Path
from typing import Any

CATEGORIES = ("error", "failed", "xpassed", "xfailed", "skipped", "passed")
"""Of an item that is in several, the first of these counts."""


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Write the category of each item, as pytest itself sorted its reports."""
    found: dict[str, str] = {}
    for category in reversed(CATEGORIES):
        for report in terminalreporter.stats.get(category, ()):
            found[report.nodeid] = category
    lines = [json.dumps([nodeid, category]) for nodeid, category in sorted(found.items())]
    Path(os.environ["RECORD"]).write_text("\n".join(lines), encoding="utf-8")
