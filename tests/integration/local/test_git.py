"""Cloning from a real git server over https, on loopback: what is let in, and what is refused."""

import http.server
import ipaddress
import os
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cluster.contents import ContentStore
from cluster.local import content, git
from cluster.local.unreachable import HostAwayError
from model.content import GitContent

GIT = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"],
}  # fmt: skip


@dataclass
class Server:
    folder: Path
    port: int
    certificate: Path
    asked: list[str] = field(default_factory=list)

    def url(self, name: str = "suite.git", host: str = "localhost") -> str:
        return f"https://{host}:{self.port}/{name}"

    def policy(self, **more: object) -> git.Policy:
        return git.Policy(allowed_hosts=frozenset({"localhost"}), ca_file=self.certificate, **more)  # type: ignore[arg-type]


def sh(*command: str, cwd: Path) -> str:
    return subprocess.run(command, cwd=cwd, env=GIT, check=True, capture_output=True, text=True).stdout.strip()


def repository(folder: Path) -> str:
    """Make a repository with a test, a hook, a link that leads out, and two branches; return the head of `main`."""
    work = folder / "work"
    work.mkdir()
    sh("git", "init", "-q", "-b", "main", cwd=work)
    (work / "tests").mkdir()
    (work / "tests" / "test_it.py").write_text("def test_a(): pass\n")
    (work / "out").symlink_to("/etc")
    (work / "big").write_bytes(os.urandom(300_000))
    sh("git", "add", ".", cwd=work)
    sh("git", "commit", "-q", "-m", "one", cwd=work)
    sh("git", "branch", "release/1.0", cwd=work)
    (work / "second").write_text("")
    sh("git", "add", ".", cwd=work)
    sh("git", "commit", "-q", "-m", "two", cwd=work)
    sh("git", "clone", "-q", "--bare", str(work), str(folder / "suite.git"), cwd=folder)
    return sh("git", "rev-parse", "HEAD", cwd=work)


def handler(server: Server) -> type[http.server.BaseHTTPRequestHandler]:
    class Backend(http.server.BaseHTTPRequestHandler):
        """Hand each request to git's own CGI program."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(b"")

        def do_POST(self) -> None:
            self.answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        def answer(self, body: bytes) -> None:
            path, _, query = self.path.partition("?")
            server.asked.append(path)
            if path.startswith("/moved.git"):
                self.send_response(302)
                self.send_header("Location", self.path.replace("moved", "suite"))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            env = GIT | {
                "GIT_PROJECT_ROOT": str(server.folder), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
                "QUERY_STRING": query, "REQUEST_METHOD": self.command, "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
                "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }  # fmt: skip
            said = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True, check=False).stdout
            head, _, rest = said.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
            self.send_response(int(fields.pop("Status", "200").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest)

        def log_message(self, *_: object) -> None:
            return

    return Backend


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = Path(tmp_path_factory.mktemp("git"))
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made = subprocess.run(
        [*command, "-keyout", str(key), "-out", str(certificate), "-days", "2", *subject],
        capture_output=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr.decode()
    running = Server(folder, 0, certificate)
    listening = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler(running))
    listening.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
    running.port = listening.server_address[1]
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield running
    listening.shutdown()
    listening.server_close()


@pytest.fixture(scope="module")
def head(server: Server) -> str:
    return repository(server.folder)


def test_a_branch_is_cloned_without_its_history(server: Server, head: str, tmp_path: Path) -> None:
    git.clone(server.url(), "main", tmp_path, server.policy())

    assert (tmp_path / "tests" / "test_it.py").exists()
    assert git.commit_of(tmp_path) == head
    assert sh("git", "rev-list", "--count", "HEAD", cwd=tmp_path) == "1"
    assert not any((tmp_path / ".git" / "hooks").glob("*")) if (tmp_path / ".git" / "hooks").exists() else True


def test_content_from_git_knows_its_commit_and_keeps_its_entry_inside(
    server: Server, head: str, tmp_path: Path
) -> None:
    sources = content.Sources(
        contents=ContentStore(tmp_path), allowed_hosts=frozenset({"localhost"}), ca_file=server.certificate
    )
    wanted = GitContent(repository=server.url(), branch="release/1.0", path="tests/test_it.py")

    placed = content.place(wanted, tmp_path / "work", sources)

    assert placed.entry == tmp_path / "work" / "tests" / "test_it.py"
    assert placed.commit
    assert placed.commit != head
    with pytest.raises(content.ContentError, match="leads out"):
        content.entry(tmp_path / "work", "out/passwd")


def test_a_branch_that_is_not_there_is_told_in_gits_words(server: Server, head: str, tmp_path: Path) -> None:
    with pytest.raises(git.GitError, match="Remote branch gone not found"):
        git.clone(server.url(), "gone", tmp_path, server.policy())


def test_a_host_that_does_not_answer_is_not_the_fault_of_the_request(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens there
        url = f"https://localhost:{closed.getsockname()[1]}/suite.git"

        with pytest.raises(HostAwayError, match="Failed to connect"):
            git.clone(url, "main", tmp_path, git.Policy(allowed_hosts=frozenset({"localhost"})))


def test_a_repository_that_is_not_there_is_the_fault_of_the_request(server: Server, head: str, tmp_path: Path) -> None:
    with pytest.raises(git.GitError, match="not found"):
        git.clone(server.url("other.git"), "main", tmp_path, server.policy())


def test_a_redirect_is_not_followed(server: Server, head: str, tmp_path: Path) -> None:
    server.asked.clear()

    with pytest.raises(git.GitError, match="could not clone"):
        git.clone(server.url("moved.git"), "main", tmp_path, server.policy())

    assert [path for path in server.asked if "suite" in path] == []


def test_a_certificate_that_nobody_vouches_for_is_refused(server: Server, head: str, tmp_path: Path) -> None:
    with pytest.raises(git.GitError, match="certificate"):
        git.clone(server.url(), "main", tmp_path, git.Policy(allowed_hosts=frozenset({"localhost"})))


def test_a_private_host_that_nobody_opened_is_not_even_asked(server: Server, head: str, tmp_path: Path) -> None:
    server.asked.clear()

    for host in ("localhost", "127.0.0.1", "[::1]", "0.0.0.0", "127.1", "2130706433", "[::ffff:127.0.0.1]"):
        with pytest.raises(git.GitError, match=r"not a public address|cannot be resolved"):
            git.clone(server.url(host=host), "main", tmp_path, git.Policy(ca_file=server.certificate))

    assert server.asked == []


def test_git_connects_to_the_address_that_was_checked_and_does_not_ask_again(
    server: Server, head: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that means one thing when it is checked, and would mean another when git looked it up (DNS rebinding)."""
    answer = (ipaddress.ip_address("127.0.0.9"),)
    monkeypatch.setattr(git.addresses, "resolve", lambda *_: answer)

    with pytest.raises(HostAwayError, match=r"127\.0\.0\.9|Failed to connect|Could not connect"):
        git.clone(server.url(), "main", tmp_path, server.policy())


def test_a_repository_that_grows_too_large_is_given_up(server: Server, head: str, tmp_path: Path) -> None:
    with pytest.raises(git.GitError, match="larger than 100000 bytes"):
        git.clone(server.url(), "main", tmp_path, server.policy(largest=100_000))


def test_nothing_of_our_configuration_reaches_git(
    server: Server, head: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[url "https://localhost:1/"]\n\tinsteadOf = https://localhost:{server.port}/\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")
    monkeypatch.setenv("GIT_TRACE", "1")

    git.clone(server.url(), "main", tmp_path / "clone", server.policy())

    assert (tmp_path / "clone" / "second").exists()
