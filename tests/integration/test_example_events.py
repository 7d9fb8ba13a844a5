"""The example of an event-driven test passes, and fails where the shop does wrong."""

from pathlib import Path

import pytest

from events.form import load_test
from events.outcomes import Outcome
from events.run import run_test

FOLDER = Path(__file__).parents[2] / "examples/events"
FILE = "order-cancelled.yaml"


@pytest.mark.parametrize(
    ("left_out", "failing"),
    [
        ("", set()),
        ("InventoryReleased", {"what was reserved is released before the order is cancelled"}),
    ],
)
def test_the_example_judges_the_shop(tmp_path: Path, left_out: str, failing: set[str]) -> None:
    lines = (FOLDER / "shop.py").read_text().splitlines(keepends=True)
    (tmp_path / "shop.py").write_text("".join(line for line in lines if not left_out or left_out not in line))
    loaded = load_test((FOLDER / FILE).read_text(), tmp_path)

    result = run_test(loaded, loaded.broker)

    assert {one.name for one in result.results if one.outcome is not Outcome.PASSED} == failing
