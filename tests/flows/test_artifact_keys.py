"""Keys of artifacts in Prefect: readable, and accepted whatever a run is called."""

import re
from uuid import UUID

import pytest

from flows.prefect_artifacts import LONGEST_NAME, artifact_key

RUN = UUID("01a20b9b-9979-7f70-bad9-737415a34c47")


@pytest.mark.parametrize("name", ["Cart & Checkout", "ünïcödé", "日本", "x" * 300, "--a--", "a" * 59 + "--b"])
def test_a_key_is_of_what_prefect_accepts(name: str) -> None:
    key = artifact_key("results", name, RUN)

    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", key)
    assert key.endswith("-15a34c47")
    assert len(key) <= len("results--15a34c47") + LONGEST_NAME


def test_a_key_says_what_it_is_and_of_which_run() -> None:
    assert artifact_key("summary", "Cart & Checkout", RUN) == "summary-cart-checkout-15a34c47"
