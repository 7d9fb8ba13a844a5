"""A worker that dies or stands still at a named point, once, when a file of that name asks for it.

Only the process under test loads this: the points are put around our functions from outside, so that the product holds
no switch for tests. `$ASSAY_FAULTS/<point>` holds `kill` or `stop`; the file is removed before it takes effect.
"""

import functools
import inspect
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cluster.faults.local import LocalFaults
from cluster.local import content, processes
from db import chaos_faults, chaos_runs, leases
from db.gate import queue
from flows import judging, prefect_artifacts
from flows.experiment import faults
from flows.experiment.run import ExperimentRun
from flows.worker_main import main
from orchestrator import lifecycle, submit

FAULTS = Path(os.environ["ASSAY_FAULTS"])
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}

SEAMS: dict[str, tuple[Any, str]] = {
    "submit": (submit, "submit"),
    "claim": (leases, "claim"),
    "begin": (lifecycle, "begin"),
    "content": (content, "place"),
    "launch": (processes, "launch"),
    "exit_record": (processes, "exit_record"),
    "finish": (lifecycle, "finish_among"),
    "release": (queue, "release_many"),
    "requeue": (queue, "requeue"),
    "show": (prefect_artifacts, "show"),
    "judge": (judging, "judged"),
    "write_fault_down": (faults, "write_down"),
    "inject_fault": (LocalFaults, "inject"),
    "revert_fault": (LocalFaults, "revert"),
    "verify": (LocalFaults, "verify"),
    "closed": (chaos_faults, "closed"),
    "found": (chaos_runs, "finish"),
}
if os.environ.get("ASSAY_CLUSTERS"):
    from cluster.faults.cluster_faults import ClusterFaults
    from cluster.faults.kubernetes.guard_jobs import GuardJobs
    from cluster.faults.kubernetes.guarded import Guarded
    from cluster.kubernetes import stage
    from cluster.kubernetes.cluster_pods import ClusterPods
    from cluster.kubernetes.launching import Launcher
    from cluster.kubernetes.spool import Spool

    SEAMS |= {
        "fetch": (stage, "fetch"),
        "create": (ClusterPods, "create"),
        "send": (Launcher, "_send"),
        "start": (ClusterPods, "start"),
        "let_start": (ClusterPods, "release"),
        "bring": (Spool, "bring"),
        "forget": (ClusterPods, "forget"),
        "inject_fault": (ClusterFaults, "inject"),
        "revert_fault": (ClusterFaults, "revert"),
        "verify": (ClusterFaults, "verify"),
        "start_job": (GuardJobs, "_start_job"),
        "until_injected": (Guarded, "until_injected"),
        "note": (GuardJobs, "note"),
        "ask": (GuardJobs, "ask"),
        "remove": (GuardJobs, "remove"),
    }


def strike(point: str) -> None:
    file = FAULTS / point
    try:
        order = file.read_text().strip()
        file.unlink()
    except FileNotFoundError:
        return
    (FAULTS / f"{point}.struck").touch()
    signal.pthread_kill(threading.get_ident(), SIGNALS[order])  # of the process; this thread goes no step further


def around(module: Any, name: str, seam: str) -> None:
    """Put the points of a seam around a function of a module, or a method of a class."""
    inner: Callable[..., Any] = getattr(module, name)

    @functools.wraps(inner)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        strike(f"before-{seam}")
        result = await inner(*args, **kwargs)
        strike(f"after-{seam}")
        return result

    @functools.wraps(inner)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        strike(f"before-{seam}")
        result = inner(*args, **kwargs)
        strike(f"after-{seam}")
        return result

    setattr(module, name, awaited if inspect.iscoroutinefunction(inner) else wrapped)


def around_steps() -> None:
    """Put points before and after each step of an experiment is written down and committed."""
    inner = ExperimentRun.write_down

    @functools.wraps(inner)
    async def wrapped(run: ExperimentRun) -> None:
        step = run.state.step
        strike(f"before-{step}")
        await inner(run)
        strike(f"after-{step}")

    ExperimentRun.write_down = wrapped  # type: ignore[method-assign]  # this is what the harness is for


if __name__ == "__main__":
    for seam, (module, name) in SEAMS.items():
        around(module, name, seam)
    around_steps()
    sys.exit(main())
