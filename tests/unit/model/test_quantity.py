"""Tests of Kubernetes quantities, which are read exactly."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.quantity import milli, quantity, whole


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", Decimal("0.5")),
        ("0.5", Decimal("0.5")),
        (".5", Decimal("0.5")),
        ("5.", Decimal(5)),
        ("1Gi", Decimal(2**30)),
        ("1G", Decimal(10**9)),
        ("1e3", Decimal(1000)),
        ("1E3", Decimal(1000)),
        ("1E", Decimal(10**18)),
        ("128974848", Decimal(128974848)),
        ("0.1Ki", Decimal("102.4")),
        ("100n", Decimal("1e-7")),
        ("+1u", Decimal("1e-6")),
        ("-1", Decimal(-1)),
    ],
)
def test_each_form_has_its_value(text: str, value: Decimal) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize(
    "text", ["", " ", "1 ", "1g", "1KiB", "1e", "1e3m", "0x10", "1_000", "\u0661", "NaN", "1,5", "9" * 65]
)
def test_a_quantity_that_kubernetes_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Kubernetes quantity"):
        quantity(text)


@pytest.mark.parametrize(("text", "amount"), [("0.5", 500), ("500m", 500), ("1", 1000), ("0.0001", 1), ("1n", 1)])
def test_cores_are_counted_in_thousandths_rounded_up(text: str, amount: int) -> None:
    assert milli(text) == amount


@pytest.mark.parametrize(("text", "amount"), [("1Ki", 1024), ("1.5", 2), ("1m", 1), ("0", 0)])
def test_bytes_are_counted_whole_rounded_up(text: str, amount: int) -> None:
    assert whole(text) == amount


@given(st.integers(0, 10**30), st.integers(0, 10**20), st.sampled_from(["", "Ki", "Ei", "m", "n"]))
def test_no_digit_is_ever_lost(before: int, after: int, suffix: str) -> None:
    scale = {
        "": Fraction(1),
        "Ki": Fraction(1024),
        "Ei": Fraction(2**60),
        "m": Fraction(1, 1000),
        "n": Fraction(1, 10**9),
    }

    assert Fraction(quantity(f"{before}.{after}{suffix}")) == Fraction(f"{before}.{after}") * scale[suffix]
