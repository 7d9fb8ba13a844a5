"""Entries say exactly what paths and modes mean."""

from hypothesis import given
from hypothesis import strategies as st

from model.claims import Claim, ClaimMode, conflict, conflicting, entries_of, path_of

STEPS = st.sampled_from(["a", "b", "ab"])
PATHS = st.lists(STEPS, min_size=1, max_size=4).map("/".join)
CLAIMS = st.builds(Claim, path=PATHS, mode=st.sampled_from(ClaimMode))
SETS = st.lists(CLAIMS, min_size=1, max_size=4)


@given(first=SETS, second=SETS)
def test_entries_conflict_exactly_when_claims_do(first: list[Claim], second: list[Claim]) -> None:
    held = set(entries_of(second))

    by_entries = any(not held.isdisjoint(conflicting(entry)) for entry in entries_of(first))

    assert by_entries == any(conflict(one, other) for one in first for other in second)


@given(first=SETS, second=SETS)
def test_conflicts_are_mutual(first: list[Claim], second: list[Claim]) -> None:
    def blocks(ours: list[Claim], theirs: list[Claim]) -> bool:
        return any(not set(entries_of(theirs)).isdisjoint(conflicting(entry)) for entry in entries_of(ours))

    assert blocks(first, second) == blocks(second, first)


@given(claims=SETS)
def test_conflicting_entries_have_the_same_path(claims: list[Claim]) -> None:
    """So whoever locks the paths of its entries decides alone about them."""
    for entry in entries_of(claims):
        assert {path_of(other) for other in conflicting(entry)} == {path_of(entry)}
