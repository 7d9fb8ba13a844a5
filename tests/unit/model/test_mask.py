"""Tests of the mask that hides the values of secrets."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.mask import SHORT, Mask

VALUE = 'pässword "9" / &+%'
SECRETS = ["sesame-open", "open-sesame", "aaaaaaaa", "cat"]
PIECES = st.sampled_from(
    [b"sesame-", b"open", b"-sesame", b"a" * 5, b"cat", b" ", b"\n", b"concat", b"\xff\x00", b"ses", b"x"]
)
SOURCES = st.lists(PIECES, max_size=40).map(b"".join)


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
def test_a_value_inside_base64_is_masked(before: str, encode: object) -> None:
    secret = "sësame??>>~~open"
    whole = encode(f"{before}{secret}!".encode()).decode()  # type: ignore[operator]

    masked = Mask([secret]).text(f"Authorization: Basic {whole}")

    shown = masked.removeprefix("Authorization: Basic ")
    assert len(shown) == len(whole)
    assert shown.count("*") >= len(secret.encode()) * 8 // 6 - 2


def test_each_line_of_a_value_is_masked_by_itself() -> None:
    key = "-----BEGIN KEY-----\nc2VjcmV0LWxpbmUtMQ==\nshort\n-----END KEY-----\n"

    masked = Mask([key]).text("a c2VjcmV0LWxpbmUtMQ== b short c")

    assert masked == "a ******************** b short c"


def test_the_shortest_line_that_is_masked_by_itself_is_as_long_as_the_shortest_value_is() -> None:
    long, short = "b" * SHORT, "c" * (SHORT - 1)

    masked = Mask([f"{'a' * 40}\n{long}\n{short}"]).text(f"x{long}y x{short}y")

    assert masked == f"x{'*' * SHORT}y x{short}y"


def test_a_short_value_is_masked_only_as_a_whole_word() -> None:
    assert Mask(["cat"]).text("cat concat cat5 (cat) cat_ -cat- cat") == "*** concat cat5 (***) cat_ -***- ***"


def test_a_mask_without_values_changes_nothing() -> None:
    assert not Mask()
    assert not Mask([""])
    assert Mask().text("as it is \ud800") == "as it is \ud800"


def test_overlapping_values_are_masked_together() -> None:
    assert Mask(["abcabcabc", "bcabcabcd"]).text("xabcabcabcabcdx") == "x" + "*" * 13 + "x"


@given(st.text(), st.lists(st.text(min_size=1), max_size=3))
def test_masking_does_not_change_the_length(text: str, values: list[str]) -> None:
    values = [value for value in values if value.isprintable()]

    masked = Mask(values).whole(text.encode(errors="surrogatepass"))

    assert len(masked) == len(text.encode(errors="surrogatepass"))


@given(SOURCES, st.integers(0, 200))
def test_no_part_of_a_secret_is_shown_while_the_text_is_incomplete(source: bytes, length: int) -> None:
    mask = Mask(SECRETS)

    shown = mask.part(source[:length], 0, final=False)

    assert mask.whole(source).startswith(shown)


@given(SOURCES, st.integers(0, 200))
def test_at_most_the_length_of_a_secret_is_held_back(source: bytes, length: int) -> None:
    mask = Mask(SECRETS)
    source = source[:length]

    shown = mask.part(source, 0, final=False)

    assert len(source) - len(shown) <= mask.reach


@pytest.mark.parametrize(("value", "written"), [('secre"7 ', 'secre"7 '), ("pass/wor", "pass%2Fwor")])
def test_a_value_of_eight_characters_is_masked_inside_a_word_and_in_each_form(value: str, written: str) -> None:
    assert Mask([value]).text(f"a{written}b") == f"a{'*' * len(written)}b"
