"""What the tests of orders share."""

import pytest


@pytest.fixture
def stock(inventory, item):
    """Five pieces of this test's item, and how many are left."""
    inventory.put(f"/stock/{item}", quantity=5)
    return lambda: inventory.get(f"/stock/{item}")[1]["quantity"]
