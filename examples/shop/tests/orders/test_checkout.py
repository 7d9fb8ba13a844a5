"""All three services: an order reserves and pays, and a refused one leaves nothing behind."""

CARD, REFUSED = "1234", "40001234"


def test_an_order_reserves_and_pays(orders, payments, item, stock):
    status, order = orders.post("/orders", item=item, quantity=2, card=CARD)

    assert (status, order["amount"]) == (201, 20)
    assert stock() == 3
    assert payments.get(f"/payments/{order['payment']}")[1]["amount"] == 20


def test_an_order_can_be_looked_up(orders, item, stock):
    _, order = orders.post("/orders", item=item, quantity=1, card=CARD)

    assert orders.get(f"/orders/{order['id']}") == (200, order)


def test_out_of_stock_is_a_conflict(orders, item, stock):
    status, answer = orders.post("/orders", item=item, quantity=6, card=CARD)

    assert (status, answer["error"]) == (409, f"5 of {item} left, 6 wanted")
    assert stock() == 5


def test_a_refused_payment_releases_the_stock(orders, item, stock):
    assert orders.post("/orders", item=item, quantity=5, card=REFUSED)[0] == 402
    assert stock() == 5


def test_stock_of_a_refused_order_can_be_sold(orders, item, stock):
    orders.post("/orders", item=item, quantity=5, card=REFUSED)

    assert orders.post("/orders", item=item, quantity=5, card=CARD)[0] == 201
