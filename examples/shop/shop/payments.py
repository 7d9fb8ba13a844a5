"""payments: takes money, or refuses to."""

from itertools import count

from shop.service import Answer, Body, Refused, Route, positive

LIMIT = 1000
REFUSED_CARD = "4000"


class Payments:
    """The ledger."""

    def __init__(self) -> None:
        self.ledger: dict[str, int] = {}
        self.by_key: dict[str, str] = {}
        self.numbers = count(1)

    def routes(self) -> list[Route]:
        """Return what the service answers to."""
        return [
            ("GET", "/health", lambda: (200, {"service": "payments"})),
            ("POST", "/payments", self.pay),
            ("GET", "/payments", self.total),
            ("GET", r"/payments/(\d+)", self.show),
        ]

    def pay(self, body: Body) -> Answer:
        """Take `amount` from `card`. The same `key` again takes nothing, and answers the first payment."""
        amount, card = positive(body, "amount"), str(body.get("card", ""))
        if not card.isdigit():
            raise Refused(400, "card must be digits")
        if card.startswith(REFUSED_CARD):
            raise Refused(402, "the bank refuses this card")
        if amount > LIMIT:
            raise Refused(402, f"{amount} is above the limit of {LIMIT}")
        number = self.by_key.get(str(body.get("key"))) or str(next(self.numbers))
        if "key" in body:
            self.by_key[str(body["key"])] = number
        self.ledger[number] = amount
        return 201, {"id": number, "amount": amount}

    def total(self) -> Answer:
        """Say how many payments there were, and how much they are together."""
        return 200, {"payments": len(self.ledger), "amount": sum(self.ledger.values())}

    def show(self, number: str) -> Answer:
        """Return one payment."""
        if number not in self.ledger:
            raise Refused(404, f"there is no payment {number}")
        return 200, {"id": number, "amount": self.ledger[number]}
