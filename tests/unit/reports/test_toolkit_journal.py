"""Our journal in the format of Chaos Toolkit: its keys, and the three answers that it has only two words for."""

import json

import pytest
from harness.journals import journal

from reports.experiment import journal_json
from reports.toolkit_journal import toolkit_journal

KEYS = {"chaoslib-version", "platform", "node", "experiment", "start", "end", "duration", "status", "deviated"}
KEYS |= {"steady_states", "run", "rollbacks", "extensions"}


def test_a_journal_has_the_keys_of_chaos_toolkit() -> None:
    ours = journal()
    theirs = toolkit_journal(journal_json(ours))

    assert set(theirs) == KEYS
    assert json.loads(json.dumps(theirs)) == theirs
    assert theirs["duration"] == (ours.ended_at - ours.started_at).total_seconds()
    assert len(theirs["run"]) == len(ours.faults)  # type: ignore[arg-type]
    assert set(theirs["experiment"]) == {  # type: ignore[arg-type]
        "title", "description", "steady-state-hypothesis", "method", "rollbacks"
    }  # fmt: skip


def test_every_part_of_the_hypothesis_is_a_probe() -> None:
    ours = journal()
    [during] = toolkit_journal(journal_json(ours))["steady_states"]["during"]  # type: ignore[index,call-overload]

    assert len(during["probes"]) == len(ours.slos) + len(ours.health)
    assert {probe["status"] for probe in during["probes"]} == {"succeeded"}


@pytest.mark.parametrize("answers", [(True, False), (False, True), (None, None)])
def test_inconclusive_is_neither_deviated_nor_not(answers: tuple[bool | None, bool | None]) -> None:
    validated, deviated = answers
    raw = journal_json(journal()) | {"hypothesisValidated": validated}

    assert toolkit_journal(raw)["deviated"] is deviated
