"""`make mutants` must change what it says it changes, and nothing else."""

import pytest
from mutants.mutate import instrumented, mutants, mutated

SOURCE = '''"""Ä module."""
def f(a, b, c):
    if a < b <= c and not c:  # é
        return f"{a == b}"
    return a in b or (a is None)
'''


def changes(source: str) -> list[list[str]]:
    return [[one.after for one in place] for place in mutants("m.py", source)]


def test_every_comparison_and_boolean_operator_is_a_place_but_in_f_strings() -> None:
    assert changes(SOURCE) == [
        ["a < b <= c or not c"],
        ["a <= b <= c", "a >= b <= c", "a < b < c", "a < b > c"],
        ["c"],
        ["a in b and a is None"],
        ["a not in b"],
        ["a is not None"],
    ]


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (1, "    if (a <= b <= c) and not c:  # é"),
        (2, "    if a < b <= c and (c):  # é"),
        (5, "    return a in b or ((a is not None))"),
    ],
)
def test_a_change_touches_one_expression_only(place: int, line: str) -> None:
    mutant = mutants("m.py", SOURCE)[place][0]

    changed = mutated(SOURCE, mutant)
    lines = zip(SOURCE.splitlines(), changed.splitlines(), strict=True)

    assert changed.splitlines()[mutant.line - 1] == line
    assert [n for n, pair in enumerate(lines, start=1) if pair[0] != pair[1]] == [mutant.line]


def test_instrumented_code_does_the_same_and_tells_what_it_evaluates() -> None:
    hits: set[int] = set()
    space = {"mutant_hit": hits.add}
    exec(instrumented("def f(a, b):\n    return a < b and (a != 1 or not b)\n", 7), space)  # noqa: S102

    outcomes = [space["f"](2, 1), space["f"](1, 2)]  # type: ignore[operator]

    assert outcomes == [False, False]
    assert hits == {7, 8, 9, 10, 11}
