"""Start one service: `python -m shop.serve orders --inventory URL --payments URL`. Its first line says where it is."""

import argparse
import signal
import sys

from shop.inventory import Inventory
from shop.orders import Orders
from shop.payments import Payments
from shop.service import Route, server


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m shop.serve", description="Start one service of the shop.")
    parser.add_argument("service", choices=["orders", "inventory", "payments"])
    parser.add_argument("--host", default="127.0.0.1", help="where it listens; 0.0.0.0 in a container")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--inventory", default="http://127.0.0.1:8101", help="orders: where inventory is")
    parser.add_argument("--payments", default="http://127.0.0.1:8102", help="orders: where payments is")
    parser.add_argument("--retry-seconds", type=float, default=0, help="orders: how long a payment is tried again")
    parser.add_argument("--stock", help="inventory: ITEM=QUANTITY to begin with")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as the first process of a container nothing else ends it
    with server(routes(options), options.port, options.host) as listening:
        sys.stdout.write(f"http://{options.host}:{listening.server_address[1]}\n")
        sys.stdout.flush()
        listening.serve_forever()


def routes(options: argparse.Namespace) -> list[Route]:
    """Return the routes of the wanted service."""
    if options.service == "inventory":
        inventory = Inventory()
        if options.stock:
            item, _, quantity = options.stock.partition("=")
            inventory.put(item, {"quantity": int(quantity)})
        return inventory.routes()
    if options.service == "payments":
        return Payments().routes()
    return Orders(options.inventory, options.payments, options.retry_seconds).routes()


if __name__ == "__main__":
    main()
