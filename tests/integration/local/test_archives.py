"""Archives over https: what is downloaded, and what is refused before and after. The server is a real one."""

import hashlib
import io
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cluster.contents import ContentStore
from cluster.local import content
from cluster.local.content import ContentError, Sources
from cluster.local.guarded_command import StoppedError
from cluster.local.unreachable import HostAwayError
from model.content import ArchiveContent


@dataclass
class Shelf:
    """Archives by path, and answers other than 200."""

    port: int
    certificate: Path
    archives: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)

    def put(self, name: str, data: bytes) -> ArchiveContent:
        self.archives[f"/{name}"] = data
        url = f"https://localhost:{self.port}/{name}"
        return ArchiveContent(url=url, sha256=hashlib.sha256(data).hexdigest())


class Quiet(ThreadingHTTPServer):
    """A server that says nothing of a client which does not trust it, or breaks off."""

    def handle_error(self, *_: Any) -> None:
        return


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("https")
    key, certificate = folder / "key", folder / "certificate"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    where = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *where, *subject], capture_output=True, check=True)
    made = Shelf(0, certificate)
    http = Quiet(("127.0.0.1", 0), handler(made))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    http.socket = context.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
    made.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def sources(shelf: Shelf, tmp_path: Path) -> Sources:
    store = ContentStore(tmp_path / "content")
    return Sources(contents=store, allowed_hosts=frozenset({"localhost"}), ca_file=shelf.certificate)


def packed(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def test_an_archive_is_unpacked_and_its_path_found(shelf: Shelf, sources: Sources, tmp_path: Path) -> None:
    wanted = replace(shelf.put("good.tar.gz", packed({"suite/run.sh": "true"})), path="suite")

    placed = content.place(wanted, tmp_path / "work", sources)

    assert placed.entry == tmp_path / "work" / "suite"
    assert (placed.entry / "run.sh").read_text() == "true"


def test_an_archive_with_another_digest_is_refused(shelf: Shelf, sources: Sources, tmp_path: Path) -> None:
    """Whoever changed it behind its address must not run as what was asked for."""
    wanted = replace(shelf.put("changed.tar.gz", packed({"run.sh": "true"})), sha256="0" * 64)

    with pytest.raises(ContentError, match="has the digest"):
        content.place(wanted, tmp_path / "work", sources)

    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no archive", "not a usable tar.gz"),
        (packed({"../out": "x"}), "path"),
        (packed({"/etc/x": "x"}), "path"),
    ],
    ids=["no archive", "outside", "absolute"],
)
def test_what_does_not_stay_inside_is_refused(
    shelf: Shelf, sources: Sources, tmp_path: Path, data: bytes, words: str
) -> None:
    with pytest.raises(ContentError, match=words):
        content.place(shelf.put("bad.tar.gz", data), tmp_path / "work", sources)


def test_an_archive_that_is_too_large_is_refused(
    shelf: Shelf, sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "LARGEST_PACKED", 1000)

    with pytest.raises(ContentError, match="larger than 1000 bytes"):
        content.place(shelf.put("large.tar.gz", bytes(2000)), tmp_path / "work", sources)


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, ContentError), (403, ContentError), (302, ContentError), (503, HostAwayError), (429, HostAwayError)],
)
def test_who_must_act_is_told_by_the_answer(
    shelf: Shelf, sources: Sources, tmp_path: Path, status: int, error: type[Exception]
) -> None:
    shelf.answers[f"/answers-{status}"] = status

    with pytest.raises(error, match=f"answers with {status}"):
        content.place(shelf.put(f"answers-{status}", b""), tmp_path / "work", sources)


def test_hosts_certificates_and_calling_off(shelf: Shelf, sources: Sources, tmp_path: Path) -> None:
    wanted = shelf.put("good.tar.gz", packed({"run.sh": "true"}))
    away = replace(wanted, url="https://localhost:9/good.tar.gz")
    cases: list[tuple[ArchiveContent, Sources, type[Exception], str]] = [
        (wanted, replace(sources, allowed_hosts=frozenset()), ContentError, "not a public address"),
        (wanted, replace(sources, ca_file=None), ContentError, "not trusted"),
        (away, sources, HostAwayError, "does not answer"),
        (wanted, replace(sources, stopped=lambda: True), StoppedError, "^$"),
    ]

    for one, by, error, words in cases:
        with pytest.raises(error, match=words):
            content.place(one, tmp_path / "work", by)
        assert not (tmp_path / "work").exists()


def handler(shelf: Shelf) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = shelf.archives[self.path]
            self.send_response(shelf.answers.get(self.path, 200))
            self.send_header("Location", "https://localhost/elsewhere")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
