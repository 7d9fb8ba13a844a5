"""The names of the points that `faulty_worker` puts around our functions."""

SEAMS = ("claim", "begin", "content", "launch", "exit_record", "finish", "release", "requeue", "show")
POINTS = [f"{when}-{seam}" for seam in SEAMS for when in ("before", "after")]
