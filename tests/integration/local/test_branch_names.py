"""The rule for names of branches is that of git itself."""

import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model.forms import branch

PARTS = st.sampled_from(
    [*"aZ0-._/@{}~^:?*[\\ #+'$&()=;,<>|!%\x1f\x7f\n\t", "..", "@{", "//", ".lock", "ß", "\xa0", "HEAD", "refs/heads/"]
)
NAMES = st.lists(PARTS, min_size=1, max_size=6).map("".join)


def accepted_here(name: str) -> bool:
    try:
        return branch(name) == name
    except ValueError:
        return False


def accepted_by_git(name: str) -> bool:
    """Ask git outside of any repository, so that it does not look names such as @{-1} up."""
    said = subprocess.run(["git", "check-ref-format", "--branch", name], cwd="/", capture_output=True, check=False)
    return said.returncode == 0


@settings(max_examples=150, deadline=None)
@given(NAMES)
@example("feature/#12-cart")
@example("dependabot/npm_and_yarn/@types/node-22")
@example("fix+1")
@example("größe")
@example("_private")
@example("@")
@example("-x")
@example("a.lock/b")
@example("a.LOCK")
@example("HEAD")
def test_a_name_is_accepted_exactly_if_git_accepts_it(name: str) -> None:
    assert accepted_here(name) == accepted_by_git(name)


@pytest.mark.parametrize(
    "name", ["", "-b", "a..b", "a@{1}", "a b", "a\tb", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b"]
)
def test_what_git_would_read_as_an_option_or_a_range_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a branch name for git"):
        branch(name)
