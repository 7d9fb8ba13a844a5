"""What a test sees of the world."""

from pathlib import Path
from uuid import UUID

import pytest

from cluster.local.environment import SYSTEM_PATH, Surroundings, environment
from model.ids import ExecutionId

AROUND = Surroundings(execution_id=ExecutionId(UUID(int=7)), attempt=2, home=Path("/h"), results=Path("/r"))


def test_it_is_the_same_few_variables_whatever_ours_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "ours")

    assert environment(AROUND) == {
        "PATH": SYSTEM_PATH,
        "HOME": "/h",
        "LANG": "C.UTF-8",
        "CI": "true",
        "ASSAY_RUN_ID": str(AROUND.execution_id),
        "ASSAY_ATTEMPT": "2",
        "ASSAY_RESULTS_DIR": "/r",
    }


def test_later_layers_win_and_the_marks_win_over_all() -> None:
    seen = environment(AROUND, {"A": "1", "B": "1"}, {"B": "2", "CI": "no", "ASSAY_ATTEMPT": "9"})

    assert (seen["A"], seen["B"], seen["CI"], seen["ASSAY_ATTEMPT"]) == ("1", "2", "no", "2")


def test_the_programs_of_its_own_environment_come_first() -> None:
    around = Surroundings(
        execution_id=AROUND.execution_id, attempt=1, home=Path("/h"), results=Path("/r"), python=Path("/v/bin/python")
    )

    assert environment(around)["PATH"] == f"/v/bin:{SYSTEM_PATH}"
