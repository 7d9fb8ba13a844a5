"""The names of the points that `faulty_worker` puts around our functions."""

SEAMS = ("claim", "begin", "content", "launch", "exit_record", "finish", "release", "requeue", "show")
POINTS = [f"{when}-{seam}" for seam in SEAMS for when in ("before", "after")]
CLUSTER_SEAMS = (
    "claim", "begin", "fetch", "create", "send", "start", "let_start", "bring", "judge", "finish", "release", "requeue",
    "forget", "show",
)  # fmt: skip
"""The steps of a run in a pod, in order."""
CLUSTER_POINTS = [f"{when}-{seam}" for seam in CLUSTER_SEAMS for when in ("before", "after")]
