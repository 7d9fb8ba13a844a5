"""What a run has run, as it is kept."""

import pytest

from model.content import ArtifactContent, GitContent, InlineContent, digest
from model.provenance import NOTHING_KNOWN, Provenance, from_json, to_json

GIT = GitContent(repository="https://example.org/a.git")


@pytest.mark.parametrize(
    "known",
    [
        NOTHING_KNOWN,
        Provenance(commit="a" * 40, tools=(("pytest", "9.2.0"), ("python", "3.12.3"))),
        Provenance(content="b" * 64),
    ],
)
def test_it_is_read_as_it_was_written(known: Provenance) -> None:
    assert from_json(to_json(known)) == known


def test_what_is_not_known_is_left_out() -> None:
    """So that what is written later does not remove what was written before."""
    assert to_json(NOTHING_KNOWN) == {}


def test_the_digest_is_that_of_the_files_whatever_their_order() -> None:
    one, same, other = (
        InlineContent(files=files) for files in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"}, {"a": "2", "b": "1"})
    )

    assert digest(one) == digest(same) != digest(other)


def test_sent_content_has_its_digest_and_git_content_none() -> None:
    assert digest(ArtifactContent(sha256="a" * 64)) == "a" * 64
    assert digest(GIT) is None
