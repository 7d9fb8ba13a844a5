from pathlib import Path

import pytest

from cli.stack.samples import sample_files, worst


def test_suites_that_fail_on_purpose_or_need_the_shop_are_left_out(tmp_path: Path) -> None:
    for name in ("payments.yaml", "orders.yaml", "failing-and-flaky.yaml", "game-day.yaml", "notes.txt"):
        (tmp_path / name).touch()

    assert [file.name for file in sample_files(tmp_path)] == ["orders.yaml", "payments.yaml"]


@pytest.mark.parametrize(
    ("codes", "stands_for_all"),
    [([0, 0], 0), ([0, 1], 1), ([1, 124, 5], 124), ([2, 1], 2), ([1, 3, 124], 3), ([3, 4], 4), ([0, 99], 99), ([], 3)],
)
def test_the_worst_exit_code_stands_for_all(codes: list[int], stands_for_all: int) -> None:
    """No suite at all is no success, and an unknown code is the worst."""
    assert worst(codes) == stands_for_all
