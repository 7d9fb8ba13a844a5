"""inventory alone: what is put in can be taken out, once."""

from concurrent.futures import ThreadPoolExecutor

import pytest


def test_stock_is_what_was_put_there(inventory, item):
    inventory.put(f"/stock/{item}", quantity=5)

    assert inventory.get(f"/stock/{item}") == (200, {"item": item, "quantity": 5})


def test_a_reservation_takes_from_the_stock(inventory, item):
    inventory.put(f"/stock/{item}", quantity=5)

    status, reservation = inventory.post("/reservations", item=item, quantity=2)

    assert (status, reservation["quantity"]) == (201, 2)
    assert inventory.get(f"/stock/{item}")[1]["quantity"] == 3


def test_more_than_there_is_cannot_be_reserved(inventory, item):
    inventory.put(f"/stock/{item}", quantity=1)

    assert inventory.post("/reservations", item=item, quantity=2)[0] == 409
    assert inventory.get(f"/stock/{item}")[1]["quantity"] == 1


def test_a_released_reservation_is_back_in_stock_once(inventory, item):
    inventory.put(f"/stock/{item}", quantity=3)
    _, reservation = inventory.post("/reservations", item=item, quantity=3)

    inventory.delete(f"/reservations/{reservation['id']}")
    inventory.delete(f"/reservations/{reservation['id']}")

    assert inventory.get(f"/stock/{item}")[1]["quantity"] == 3


def test_the_last_piece_goes_to_one_customer(inventory, item):
    inventory.put(f"/stock/{item}", quantity=1)

    with ThreadPoolExecutor(8) as customers:
        answers = list(customers.map(lambda _: inventory.post("/reservations", item=item, quantity=1)[0], range(16)))

    assert sorted(answers) == [201] + [409] * 15


@pytest.mark.parametrize("quantity", [0, -1, "two", 1.5, None, True])
def test_a_quantity_is_a_whole_number_above_0(inventory, item, quantity):
    inventory.put(f"/stock/{item}", quantity=5)

    assert inventory.post("/reservations", item=item, quantity=quantity)[0] == 400


def test_an_unknown_item_is_not_found(inventory):
    assert inventory.get("/stock/unicorn")[0] == 404
    assert inventory.post("/reservations", item="unicorn", quantity=1)[0] == 404
