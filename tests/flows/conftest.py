from uuid import uuid4

import pytest
from prefect.client.schemas.responses import DeploymentResponse


@pytest.fixture
def deployment_with_pull_steps() -> DeploymentResponse:
    return DeploymentResponse(
        id=uuid4(),
        flow_id=uuid4(),
        name="moves",
        entrypoint="flow.py:flow",
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": "elsewhere"}}],
    )
