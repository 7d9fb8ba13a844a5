"""The names of the points that `faulty_worker` puts around our functions."""

SEAMS = ("claim", "begin", "content", "launch", "exit_record", "finish", "release", "requeue", "show")
POINTS = [f"{when}-{seam}" for seam in SEAMS for when in ("before", "after")]
CLUSTER_SEAMS = (
    "claim", "begin", "fetch", "create", "send", "start", "let_start", "bring", "judge", "finish", "release", "requeue",
    "forget", "show",
)  # fmt: skip
"""The steps of a run in a pod, in order."""
EXPERIMENT_SEAMS = (
    "resolve-targets", "admit", "baseline", "recheck", "inject", "write_fault_down", "inject_fault", "observe",
    "revert", "revert_fault", "verify", "closed", "recovery", "judge", "record", "found",
)  # fmt: skip
"""The steps of an experiment and of its fault. A step is written down when it begins."""
EXPERIMENT_POINTS = [f"{when}-{seam}" for seam in EXPERIMENT_SEAMS for when in ("before", "after")]
GUARD_POINTS = [
    "before-start_job", "after-start_job", "after-until_injected", "before-note", "after-ask", "before-remove",
    "after-remove",
]  # fmt: skip
"""Within the injection and the revert of a fault that an operator carries out: its guard makes and ends the object."""
CLUSTER_POINTS = [f"{when}-{seam}" for seam in CLUSTER_SEAMS for when in ("before", "after")]
