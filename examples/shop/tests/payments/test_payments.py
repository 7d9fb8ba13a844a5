"""payments alone: money is taken, or it is said why not."""

import pytest


def test_a_payment_is_kept(payments):
    status, payment = payments.post("/payments", amount=10, card="1234")

    assert status == 201
    assert payments.get(f"/payments/{payment['id']}") == (200, {"id": payment["id"], "amount": 10})


@pytest.mark.parametrize(("amount", "status"), [(1, 201), (1000, 201), (1001, 402), (0, 400)])
def test_the_limit_holds_to_the_last_coin(payments, amount, status):
    assert payments.post("/payments", amount=amount, card="1234")[0] == status


def test_a_refused_card_is_refused(payments):
    assert payments.post("/payments", amount=10, card="4000123") == (402, {"error": "the bank refuses this card"})


def test_a_card_is_digits(payments):
    assert payments.post("/payments", amount=10, card="gold")[0] == 400


def test_an_unknown_payment_is_not_found(payments):
    assert payments.get("/payments/999999")[0] == 404
