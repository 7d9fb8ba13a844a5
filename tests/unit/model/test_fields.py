"""Amounts have bounds, and both ends of the range are allowed."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from model.fields import ByteQuantity, ByteSum, CpuQuantity, CpuSum


@pytest.mark.parametrize(
    ("field", "least", "most", "beyond"),
    [
        (CpuQuantity, "1m", "1024", "1024001m"),
        (CpuSum, "1m", "10000000", "10000000.001"),
        (ByteQuantity, "1", "1Pi", "1.001Pi"),
        (ByteSum, "1", "1Ei", "1.001Ei"),
    ],
)
def test_an_amount_may_be_the_least_and_the_most_and_nothing_beyond(
    field: Any, least: str, most: str, beyond: str
) -> None:
    adapter = TypeAdapter(field)

    assert [adapter.validate_python(text) for text in (least, most)] == [least, most]
    for text in ("0", beyond):
        with pytest.raises(ValidationError, match="must be between"):
            adapter.validate_python(text)
