"""What every source of secrets does: the value behind a reference, or why there is none; never a value in a message."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.secrets import LARGEST_SECRET, SecretStore
from model.ports import SecretError, Secrets

STORES: dict[str, Callable[[dict[str, str]], Secrets]] = {"variables and files": SecretStore}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Secrets:
    return STORES[request.param]({"TOKEN": "open sesame", "BYTES": "\udcff"})


def test_a_value_comes_from_the_environment(store: Secrets) -> None:
    assert store.resolve("env:TOKEN") == "open sesame"


def test_a_value_comes_from_a_file_without_its_last_newline(store: Secrets, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("two\nlines\n")

    assert store.resolve(f"file:{tmp_path}/token") == "two\nlines"


def test_a_value_that_was_changed_is_the_new_one(store: Secrets, tmp_path: Path) -> None:
    for value in ("old", "new"):
        (tmp_path / "token").write_text(value)
        found = store.resolve(f"file:{tmp_path}/token")

    assert found == "new"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("env:NO_SUCH_VARIABLE_HERE", "no such variable"),
        ("env:BYTES", "not UTF-8"),
        ("file:relative", "must be absolute"),
        ("file:/no/such/file", "cannot read it"),
        ("file:/", "cannot read it"),
        ("kubernetes:team/secret", "need the Kubernetes backend"),
        ("vault:x", "not a kind of reference"),
        ("", "not a kind of reference"),
    ],
)
def test_a_secret_that_cannot_be_had_says_why(store: Secrets, reference: str, message: str) -> None:
    with pytest.raises(SecretError, match=message):
        store.resolve(reference)


def test_a_file_that_is_no_text_or_too_large_is_refused_without_showing_it(store: Secrets, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xffvalue")
    (tmp_path / "large").write_text("value" * LARGEST_SECRET)

    for name in ("binary", "large"):
        with pytest.raises(SecretError) as refused:
            store.resolve(f"file:{tmp_path}/{name}")
        assert "value" not in str(refused.value).removeprefix(f"file:{tmp_path}")
