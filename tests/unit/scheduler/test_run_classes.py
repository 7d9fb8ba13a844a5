"""The waiting runs in classes of equal runs (`scheduler.admission.equivalence_classes`)."""

from types import SimpleNamespace

from model.ids import NodeName
from scheduler.admission.equivalence_classes import RunClasses


def test_no_node_is_kept_for_a_run_that_waits_no_longer(make: SimpleNamespace) -> None:
    """It may have been cancelled between the decision and its effect."""
    classes = RunClasses()
    classes.add(make.queued(1))
    classes.remove(make.run_id(1))

    classes.nominate(make.run_id(1), NodeName("n0"))

    assert (classes.queued, classes.nominated) == ({}, set())
