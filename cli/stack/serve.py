"""Serves an application on a socket that the supervisor holds: `python -m cli.stack.serve FD MODULE:FACTORY`.

The supervisor listens from the moment it chooses the port. So no other program can take the port, not even between the
death of a server and its restart, and a client that connects in between is answered by the next server.
"""

import socket
import sys

import uvicorn

GRACE = 2
"""Seconds that open requests and streams have after SIGTERM."""
STARTUP_FAILURE = 3


def main() -> None:
    """Serve until SIGTERM."""
    descriptor, factory = int(sys.argv[1]), sys.argv[2]
    config = uvicorn.Config(
        factory,
        factory=True,
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[socket.socket(fileno=descriptor)])
    if not server.started:
        sys.exit(STARTUP_FAILURE)


if __name__ == "__main__":
    main()
