"""Recordings that are judged again: what is none, and what a replay must not know better than the test."""

from pathlib import Path

import pytest
from harness.event_samples import ORDERS, expect, send

from events.assertions.occurrences import never
from events.brokers.broker import Broker
from events.brokers.mock_cluster import MockCluster
from events.driven_test import EventDrivenTest
from events.outcomes import Outcome
from events.pattern import EventPattern
from events.recording import RecordingError, read_recording, replayed, write_recording


@pytest.mark.parametrize("text", ["", "{}", '{"assay_recording": 2, "name": "x", "ended_at": 1}', "[\n", "\xff"])
def test_what_is_no_recording_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(RecordingError, match=r"x\.jsonl"):
        read_recording(path)


def test_what_was_unknown_is_unknown_in_a_replay_too(tmp_path: Path) -> None:
    """Otherwise the replay of a test whose broker went away would pass."""
    cluster = MockCluster()
    cluster.create_topic(ORDERS, 1)
    early, whole = never("early", EventPattern(type="X"), timeout_ms=300), never("whole", EventPattern(type="X"))

    class Leaves:
        described = "the broker leaves"

        def fire(self, broker: Broker) -> None:
            send(broker, "OrderCreated")
            cluster.set_down(down=True)

    test = EventDrivenTest(
        name="t",
        topics=("orders",),
        assertions=(expect("OrderCreated"), early, whole),
        trigger=Leaves(),
        timeout_ms=500,
    )
    live = test.execute(cluster)
    cluster.close()
    write_recording(tmp_path / "events.jsonl", live)

    again = replayed(test, read_recording(tmp_path / "events.jsonl"))

    outcomes = [one.outcome for one in live.results]
    assert outcomes[1:] == [Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE]
    assert [one.outcome for one in again.results] == outcomes
