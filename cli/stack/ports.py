"""Ports on the loopback address. A port is listened on from the moment it is chosen."""

import socket

LOOPBACK = "127.0.0.1"
ATTEMPTS = 50
BACKLOG = 1024


def listen(wanted: int) -> socket.socket:
    """Listen on `wanted`, else on the next free port after it, else on any free port."""
    for port in (*range(wanted, min(wanted + ATTEMPTS, 65536)), 0):
        listener = _listen(port)
        if listener is not None:
            return listener
    raise OSError("no port is free on the loopback address")


def port_of(listener: socket.socket) -> int:
    """Return the port that `listener` listens on."""
    return int(listener.getsockname()[1])


def _listen(port: int) -> socket.socket | None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        return None
    return listener
