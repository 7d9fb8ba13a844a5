"""Seconds as any locale writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.junit.durations import LARGEST, milliseconds


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0.160", 160), ("0,160", 160), ("2,5", 2500), ("1234,5", 1_234_500), ("1,234.5", 1_234_500),
        ("1.234,5", 1_234_500), ("1 234,5", 1_234_500), ("1\u00a0234,5", 1_234_500), ("1\u202f234.5", 1_234_500),
        ("1'234.5", 1_234_500), ("1\u2019234,5", 1_234_500), ("1_234.5", 1_234_500), ("1,234,567", 1_234_567_000),
        ("1.234.567", 1_234_567_000), ("1,234,567.25", 1_234_567_250), ("1.234.567,25", 1_234_567_250),
        ("12,34,567.5", 1_234_567_500), ("1,234", 1234), ("1.234", 1234), (".5", 500), (",5", 500), ("5.", 5000),
        ("7", 7000), ("1.5e-2", 15), ("1,5E-2", 15), ("2E1", 20_000), ("-0.001", 0), ("+1.5", 1500), (" 1.5 ", 1500),
        ("1.5s", 1500), ("1,5 sec", 1500), ("250ms", 250), ("00:00:01.5", 1500), ("00:01:02,250", 62_250),
        ("1:30", 90_000),
        ("\u0660\u066b\u0661\u0666\u0660", 160), ("\u06f1\u066c\u06f2\u06f3\u06f4\u066b\u06f5", 1_234_500),
        ("", 0), ("nan", 0), ("inf", 0), ("soon", 0), ("1e400", 0), ("0x10", 0), ("99999999999", LARGEST),
        ("1:2:3:4", 0),
    ],
)  # fmt: skip
def test_one_time_is_read_as_it_was_meant(written: str, expected: int) -> None:
    assert milliseconds([written]) == [expected]


def test_the_other_times_tell_what_one_separator_means() -> None:
    assert milliseconds(["0.5", "1,234"]) == [500, 1_234_000]
    assert milliseconds(["0,5", "1.234"]) == [500, 1_234_000]
    assert milliseconds(["0,5", "0.5", "1,234"]) == [500, 500, 1234]


def _grouped(whole: int, mark: str) -> str:
    return f"{whole:,}".replace(",", mark)


@given(
    st.integers(1000, 2_000_000),
    st.integers(0, 999),
    st.sampled_from(
        [(",", "."), (".", ","), ("\u00a0", ","), ("\u202f", ","), ("'", "."), (" ", "."), ("\u2019", ","), ("", ",")]
    ),
)  # fmt: skip
def test_every_mix_of_separators_gives_the_same_time(whole: int, thousandths: int, separators: tuple[str, str]) -> None:
    thousands, decimal = separators

    written = f"{_grouped(whole, thousands)}{decimal}{thousandths:03}"

    assert milliseconds([written, f"0{decimal}001"]) == [whole * 1000 + thousandths, 1]


@given(st.lists(st.text(max_size=50), max_size=5))
def test_any_text_is_a_time_of_some_kind(texts: list[str]) -> None:
    assert all(0 <= time <= LARGEST for time in milliseconds(texts))
