"""The worker's wiring reaches a flow by its context only."""

import pytest

from flows.worker_context import NotOpenError, current_context


def test_a_flow_outside_of_a_worker_is_told_how_to_start_it() -> None:
    with pytest.raises(NotOpenError, match="prefect deployment run test-run/default"):
        current_context()
