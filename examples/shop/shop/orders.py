"""orders: reserves in inventory, then pays. Whatever goes wrong after the reservation, the reservation is released."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from uuid import uuid4

from shop.service import Answer, Body, Refused, Route, call, call_again, positive

PRICE = 10


class Orders:
    """The orders, and where the other two services are. Without `retry_seconds` each call is made once."""

    def __init__(self, inventory: str, payments: str, retry_seconds: float = 0.0) -> None:
        self.inventory = inventory
        self.payments = payments
        self.retry_seconds = retry_seconds
        self.orders: dict[str, Body] = {}
        self.numbers = count(1)

    def routes(self) -> list[Route]:
        """Return what the service answers to."""
        return [
            ("GET", "/health", lambda: (200, {"service": "orders"})),
            ("POST", "/orders", self.place),
            ("GET", r"/orders/(\d+)", self.show),
        ]

    def place(self, body: Body) -> Answer:
        """Place an order: 409 when there is not enough, 402 when the payment is refused, 503 when a service is away."""
        item, quantity = str(body.get("item")), positive(body, "quantity")
        with self.reserved(item, quantity):
            payment = self.paid(quantity * PRICE, str(body.get("card", "")))
        number = str(next(self.numbers))
        order = {"id": number, "item": item, "quantity": quantity, "amount": quantity * PRICE, "payment": payment}
        self.orders[number] = order
        return 201, order

    def show(self, number: str) -> Answer:
        """Return one order."""
        if number not in self.orders:
            raise Refused(404, f"there is no order {number}")
        return 200, self.orders[number]

    @contextmanager
    def reserved(self, item: str, quantity: int) -> Iterator[None]:
        """Hold a reservation; release it if what follows fails."""
        status, reservation = call("POST", f"{self.inventory}/reservations", {"item": item, "quantity": quantity})
        if status != 201:
            raise Refused(status, reservation["error"])
        try:
            yield
        except Refused:
            call("DELETE", f"{self.inventory}/reservations/{reservation['id']}")
            raise

    def paid(self, amount: int, card: str) -> str:
        """Pay, and return the number of the payment. All tries have one key, so that money is taken once."""
        bill = {"amount": amount, "card": card, "key": str(uuid4())}
        status, payment = call_again("POST", f"{self.payments}/payments", bill, self.retry_seconds)
        if status != 201:
            raise Refused(status, payment["error"])
        return str(payment["id"])
