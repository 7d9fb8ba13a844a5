"""What a preflight webhook is told: a message of its own for each decision."""

from dataclasses import replace
from datetime import timedelta

from harness.chaos_readings import NOON

from chaos.approval import experiment_digest
from chaos.experiment_reading import check_experiment
from chaos.graph import from_depends_on
from chaos.preflight import Preflight, preflight_body
from chaos.safety import DecisionRecord
from chaos.targets import Candidate, Target, resolve

EXPERIMENT = check_experiment(
    {
        "name": "x",
        "fault": {"type": "pod-kill"},
        "target": {"environment": "shop", "service": "payments"},
        "hypothesis": {"healthChecks": [{"name": "h", "type": "tcp", "host": "localhost", "port": 1}]},
        "durationSeconds": 60,
        "haltConditions": [{"healthCheck": "h"}],
    }
)
TARGET = Target(place="shop", service="payments", name="p", identity="u")


def told() -> Preflight:
    seen = resolve(EXPERIMENT, [Candidate(target=TARGET, opted_in=True)], from_depends_on({"payments": []}))
    return Preflight(
        execution_id="e1",
        experiment=EXPERIMENT,
        digest=experiment_digest(EXPERIMENT),
        resolution=seen,
        claims=("local/shop/payments",),
        submitted_by="ann",
        team=None,
        decision=DecisionRecord(at=NOON, step="recheck", lines=()),
        at=NOON,
    )


def test_what_another_worker_tells_after_a_takeover_has_another_id() -> None:
    """By its id a receiver knows a repetition; but the next worker has made the checks anew."""
    first, again = told(), replace(told(), at=NOON + timedelta(seconds=30))

    assert first.id == told().id
    assert first.id.startswith("e1.preflight.")
    assert (first.id == again.id, preflight_body(first) == preflight_body(again)) == (False, False)
