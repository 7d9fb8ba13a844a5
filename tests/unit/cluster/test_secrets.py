"""Secrets by reference, and the mask over everything that people can read."""

import base64
import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.secrets import Mask, SecretError, resolve

VALUE = 'pässword "9" / &+%'


def test_a_value_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "open sesame")

    assert resolve("env:TOKEN") == "open sesame"


def test_a_value_comes_from_a_file_without_its_last_newline(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("two\nlines\n")

    assert resolve(f"file:{tmp_path}/token") == "two\nlines"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("env:NO_SUCH_VARIABLE_HERE", "no such variable"),
        ("file:relative", "must be absolute"),
        ("file:/no/such/file", "cannot read it"),
        ("file:/", "cannot read it"),
        ("kubernetes:team/secret", "need the Kubernetes backend"),
        ("vault:x", "not a kind of reference"),
        ("", "not a kind of reference"),
    ],
)
def test_a_secret_that_cannot_be_had_says_why(reference: str, message: str) -> None:
    with pytest.raises(SecretError, match=message):
        resolve(reference)


def test_a_file_that_is_no_text_or_too_large_is_refused_without_showing_it(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xffvalue")
    (tmp_path / "large").write_text("value" * 20_000)

    for name in ("binary", "large"):
        with pytest.raises(SecretError) as refused:
            resolve(f"file:{tmp_path}/{name}")
        assert "value" not in str(refused.value).removeprefix(f"file:{tmp_path}")


@pytest.mark.parametrize(
    "written",
    [
        VALUE,
        quote(VALUE, safe=""),
        quote_plus(VALUE),
        json.dumps(VALUE)[1:-1],
        json.dumps(VALUE, ensure_ascii=False)[1:-1],
    ],
)
def test_each_way_of_writing_a_value_is_masked_byte_for_byte(written: str) -> None:
    text = f"before {written} after"

    masked = Mask([VALUE]).text(text)

    assert masked == f"before {'*' * len(written.encode())} after"


@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_value_inside_of_base64_cannot_be_read_back(before: str, encode: object) -> None:
    secret = "sësame??>>~~open"
    whole = encode(f"{before}{secret}!".encode()).decode()  # type: ignore[operator]

    masked = Mask([secret]).text(f"Authorization: Basic {whole}")

    shown = masked.removeprefix("Authorization: Basic ")
    assert len(shown) == len(whole)
    assert shown.count("*") >= len(secret.encode()) * 8 // 6 - 2


def test_each_line_of_a_key_is_masked_on_its_own() -> None:
    key = "-----BEGIN KEY-----\nc2VjcmV0LWxpbmUtMQ==\nshort\n-----END KEY-----\n"

    masked = Mask([key]).text("a c2VjcmV0LWxpbmUtMQ== b short c")

    assert masked == "a ******************** b short c"


def test_a_short_value_is_masked_where_it_stands_alone_only() -> None:
    assert Mask(["cat"]).text("cat concat cat5 (cat) cat_ -cat- cat") == "*** concat cat5 (***) cat_ -***- ***"


def test_no_value_is_no_mask() -> None:
    assert not Mask()
    assert not Mask([""])
    assert Mask().text("as it is \ud800") == "as it is \ud800"


def test_overlapping_values_are_masked_together() -> None:
    assert Mask(["abcabcabc", "bcabcabcd"]).text("xabcabcabcabcdx") == "x" + "*" * 13 + "x"


@given(st.text(), st.lists(st.text(min_size=1), max_size=3))
def test_a_masked_text_is_as_long_as_it_was(text: str, values: list[str]) -> None:
    values = [value for value in values if value.isprintable()]

    masked = Mask(values).whole(text.encode(errors="surrogatepass"))

    assert len(masked) == len(text.encode(errors="surrogatepass"))
