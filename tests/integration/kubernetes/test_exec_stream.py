"""What a program in a pod prints arrives piece by piece, however fast the API server sends it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from harness import api_server
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from cluster.backend import UnavailableError
from cluster.kubernetes import exec_stream
from cluster.kubernetes.connection import Connection
from cluster.kubernetes.exec_stream import PodProgram

PROTOCOLS = [Subprotocol("v5.channel.k8s.io"), Subprotocol("v4.channel.k8s.io")]
OUT, ENDED = b"\x01", b'\x03{"status": "Success"}'
FRAME, FRAMES = 4 * 1024, 20
FEW = 4
"""The client reads a frame for each channel that it is asked for."""
SENT_SECONDS = 20


@contextmanager
def sending(sent: threading.Event) -> Iterator[str]:
    """Serve one program, which prints all it has at once; give the address."""

    def print_all(connection: ServerConnection) -> None:
        for number in range(FRAMES):
            connection.send(OUT + bytes([number]) * FRAME)
        connection.send(ENDED)
        sent.set()

    with serve(print_all, "127.0.0.1", 0, subprotocols=PROTOCOLS) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def sent() -> threading.Event:
    return threading.Event()


@pytest.fixture
def connection(sent: threading.Event, tmp_path: Path) -> Iterator[Connection]:
    with sending(sent) as url:
        made = Connection(api_server.access(api_server.Server(url=url), tmp_path / "kubeconfig"), Random(1))
        yield made
        made.close()


def test_output_is_passed_on_a_few_frames_at_a_time(connection: Connection, sent: threading.Event) -> None:
    """All of it has been sent before the first piece is read: it must not be gathered in memory."""
    pieces: list[bytes] = []

    ran = exec_stream.run(
        connection,
        PodProgram(path="/api/v1/namespaces/n/pods/p", container="keeper", command=["true"], take=pieces.append),
        lambda: None if sent.wait(SENT_SECONDS) else pytest.fail("the server has not sent"),
    )

    assert ran.exit_code == 0
    assert max(len(piece) for piece in pieces) <= FEW * FRAME
    assert b"".join(pieces) == b"".join(bytes([number]) * FRAME for number in range(FRAMES))


def test_a_program_that_cannot_be_run_names_the_permission(tmp_path: Path) -> None:
    told = 'pods "p" is forbidden: User "u" cannot get resource "pods/exec" in API group "" in the namespace "n"'
    with api_server.serving() as server:
        server.answers = [api_server.Answer(status=403, body={"kind": "Status", "message": told})]
        connection = Connection(api_server.access(server, tmp_path / "kubeconfig"), Random(1))

        with pytest.raises(UnavailableError) as refused:
            exec_stream.run(connection, PodProgram(path="/api/v1/namespaces/n/pods/p", container="prepare", command=[]))
        connection.close()

    assert str(refused.value) == f"cluster lab: cannot run a program in prepare: {told}"
