"""The environment variables of a test: never those of the worker, always the same few."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model.ids import ExecutionId

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Which attempt it is, and its folders. `python` is the interpreter of its virtual environment, if it has one."""

    execution_id: ExecutionId
    attempt: int
    home: Path
    results: Path
    python: Path | None = None


def environment(around: Surroundings, *layers: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a test: basic ones, each of `layers` over the one before, and the marks of the attempt.

    The marks come last, so that a test cannot replace them: its processes are found and killed by them.
    """
    path = f"{around.python.parent}:{SYSTEM_PATH}" if around.python else SYSTEM_PATH
    seen = {"PATH": path, "HOME": str(around.home), "LANG": "C.UTF-8", "CI": "true"}
    for layer in layers:
        seen.update(layer)
    return seen | {
        "ASSAY_RUN_ID": str(around.execution_id),
        "ASSAY_ATTEMPT": str(around.attempt),
        "ASSAY_RESULTS_DIR": str(around.results),
    }
