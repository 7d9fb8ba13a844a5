"""Decides which deployments the worker runs: those of Assay's own flows, and those that its settings name.

Loading a flow imports its module, and so runs the module's code as the user of the worker. A user who may write to
Prefect can name any module of this machine. So the entrypoint is checked before anything is imported.
"""

from prefect.client.schemas.responses import DeploymentResponse

TEST_RUN = "flows.test_run.test_run"
"""An example, for people."""


def refuse(deployment: DeploymentResponse, allowed: frozenset[str]) -> str | None:
    """Return why the worker does not run a deployment, and how to change that; None if the worker runs it."""
    name, entrypoint = deployment.name, deployment.entrypoint
    if deployment.pull_steps:
        return (
            f"deployment {name} has pull steps, and those change the folder of the whole worker: "
            f"deploy it with `pull: []` and a module entrypoint such as {TEST_RUN}"
        )
    if not entrypoint:
        return f"deployment {name} has no entrypoint: deploy it with a module entrypoint such as {TEST_RUN}"
    if entrypoint not in allowed:
        return (
            f"deployment {name} has the entrypoint {entrypoint[:200]!r}, which this worker may not import. Deploy it "
            "to a work pool of another worker. Or, if its code may run as this worker's user, add the entrypoint to "
            "ASSAY_ALLOWED_ENTRYPOINTS in the worker's environment and start the worker again"
        )
    return None
