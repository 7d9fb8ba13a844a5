"""Free ports on the loopback address."""

import socket

LOOPBACK = "127.0.0.1"
ATTEMPTS = 50


def is_free(port: int) -> bool:
    """Return whether a server could listen on `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(wanted: int, taken: frozenset[int] = frozenset()) -> int:
    """Return `wanted`, or the next port after it that is free and not among `taken`; else any free one."""
    for port in range(wanted, min(wanted + ATTEMPTS, 65536)):
        if port not in taken and is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
