"""On purpose: one test fails, one is skipped, one passes only when it is tried again."""

import os

import pytest


def test_that_passes(inventory, item):
    assert inventory.put(f"/stock/{item}", quantity=1)[0] == 200


def test_that_fails(orders):
    """The shop has no discounts yet."""
    status, _ = orders.post("/discounts", code="SPRING")

    assert status == 201, "POST /discounts is not there yet"


@pytest.mark.skip(reason="refunds are not built yet")
def test_that_is_skipped(payments):
    assert payments.delete("/payments/1")[0] == 200


def test_that_is_flaky(inventory, item):
    """Fails in the first attempt only, as tests do that depend on something slow."""
    first = os.environ.get("ASSAY_ATTEMPT", "1") == "1"
    inventory.put(f"/stock/{item}", quantity=1 if first else 2)

    assert inventory.get(f"/stock/{item}")[1]["quantity"] == 2, "the stock was not there yet"
