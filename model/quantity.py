"""Read Kubernetes quantities exactly, without floats."""

import re
from decimal import ROUND_CEILING, Context, Decimal

_SUFFIX = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal("1e3"),
    "M": Decimal("1e6"),
    "G": Decimal("1e9"),
    "T": Decimal("1e12"),
    "P": Decimal("1e15"),
    "E": Decimal("1e18"),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
_FORM = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))(?:(?P<exponent>[eE][+-]?\d{1,3})|(?P<suffix>[numkMGTPE]|[KMGTPE]i)?)"
)
LONGEST = 64
_EXACT = Context(prec=200)
"""Precise enough for all digits of the longest text times the largest suffix."""


def quantity(text: str) -> Decimal:
    """Return the exact value of a Kubernetes quantity in its base unit (cores, bytes, pieces).

    Raises: ValueError for a text that Kubernetes would refuse.
    Source: the quantity grammar of apimachinery's resource package.
    """
    match = _FORM.fullmatch(text) if len(text) <= LONGEST and text.isascii() else None
    if match is None:
        msg = f"{text[:LONGEST]!r} is not a Kubernetes quantity such as 500m, 0.5, 1Gi or 128974848"
        raise ValueError(msg)
    number = Decimal(match["number"] + (match["exponent"] or ""))
    return _EXACT.multiply(number, _SUFFIX[match["suffix"] or ""])


def milli(text: str) -> int:
    """Return a quantity in thousandths, rounded up as Kubernetes does: '0.5' -> 500."""
    return int(_EXACT.multiply(quantity(text), Decimal(1000)).to_integral_value(ROUND_CEILING))


def whole(text: str) -> int:
    """Return a quantity in whole units (bytes), rounded up: '1Ki' -> 1024."""
    return int(quantity(text).to_integral_value(ROUND_CEILING))


def cpu_text(amount: int) -> str:
    """Return milli-cores as a quantity, exactly: 500 -> '500m', 4000 -> '4'."""
    cores, rest = divmod(amount, 1000)
    return f"{amount}m" if rest else str(cores)


def bytes_text(amount: int) -> str:
    """Return bytes as a quantity, exactly, in the largest unit of 1024 that divides them: 2147483648 -> '2Gi'."""
    for suffix in ("Pi", "Ti", "Gi", "Mi", "Ki"):
        size, rest = divmod(amount, int(_SUFFIX[suffix]))
        if size and not rest:
            return f"{size}{suffix}"
    return str(amount)
