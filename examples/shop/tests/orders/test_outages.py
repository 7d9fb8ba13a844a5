"""One of the three services is away: an order is refused, and nothing is left behind."""

AWAY = "http://127.0.0.1:9"


def test_without_payments_nothing_stays_reserved(start, inventory, item, stock):
    orders = start("orders", "--inventory", inventory.address, "--payments", AWAY)

    assert orders.post("/orders", item=item, quantity=2, card="1234")[0] == 503
    assert stock() == 5


def test_without_inventory_nothing_is_paid(start, payments, item):
    orders = start("orders", "--inventory", AWAY, "--payments", payments.address)
    before = payments.get("/payments")

    assert orders.post("/orders", item=item, quantity=1, card="1234")[0] == 503
    assert payments.get("/payments") == before
