"""inventory: how much of each item there is, and what is reserved of it."""

from itertools import count
from threading import Lock

from shop.service import Answer, Body, Refused, Route, positive


class Inventory:
    """The stock. One lock: two customers never get the last piece."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.stock: dict[str, int] = {}
        self.reservations: dict[str, tuple[str, int]] = {}
        self.numbers = count(1)

    def routes(self) -> list[Route]:
        """Return what the service answers to."""
        return [
            ("GET", "/health", lambda: (200, {"service": "inventory"})),
            ("PUT", r"/stock/([\w-]+)", self.put),
            ("GET", r"/stock/([\w-]+)", self.show),
            ("POST", "/reservations", self.reserve),
            ("DELETE", r"/reservations/(\d+)", self.release),
        ]

    def put(self, item: str, body: Body) -> Answer:
        """Set how much of an item there is."""
        with self.lock:
            self.stock[item] = positive(body, "quantity")
        return self.show(item)

    def show(self, item: str) -> Answer:
        """Say how much of an item is left."""
        if item not in self.stock:
            raise Refused(404, f"there is no item {item}")
        return 200, {"item": item, "quantity": self.stock[item]}

    def reserve(self, body: Body) -> Answer:
        """Take some pieces out of the stock, all or none."""
        item, quantity = str(body.get("item")), positive(body, "quantity")
        with self.lock:
            if item not in self.stock:
                raise Refused(404, f"there is no item {item}")
            if self.stock[item] < quantity:
                raise Refused(409, f"{self.stock[item]} of {item} left, {quantity} wanted")
            self.stock[item] -= quantity
            number = str(next(self.numbers))
            self.reservations[number] = (item, quantity)
        return 201, {"id": number, "item": item, "quantity": quantity}

    def release(self, number: str) -> Answer:
        """Put the pieces of a reservation back. A second release changes nothing."""
        with self.lock:
            item, quantity = self.reservations.pop(number, ("", 0))
            if item:
                self.stock[item] += quantity
        return 200, {"released": quantity}
