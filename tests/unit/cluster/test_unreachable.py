"""A host that does not answer is told from one that answers with no, by what git 2.47 and uv 0.13 print."""

import socket

import pytest

from cluster import addresses
from cluster.local.unreachable import is_away

GIT = "fatal: unable to access 'https://git.example/x.git/': "
UV = (
    "error: Request failed after 3 retries in 9s\n  cause: Failed to fetch: https://pypi.example/simple/foo/\n  cause: "
)
NO_SOLUTION = (
    "error: No solution found when resolving dependencies\n  cause: Because foo was not found in the package registry "
    "and you require foo==1, we can conclude that your requirements are unsatisfiable.\n"
)
AWAY = {
    "git, refused": GIT + "Failed to connect to git.example port 443 after 0 ms: Couldn't connect to server",
    "git, too slow": GIT + "Operation too slow. Less than 1000 bytes/sec transferred the last 30 seconds",
    "git, broken off": "error: RPC failed; curl 56 Recv failure: Connection reset by peer\nfatal: early EOF",
    "git, no answer": GIT + "Empty reply from server",
    "git, server error": GIT + "The requested URL returned error: 503",
    "git, too many": GIT + "The requested URL returned error: 429",
    "uv, refused": UV
    + "client error (Connect)\n  cause: tcp connect error\n  cause: Connection refused (os error 111)",
    "uv, name server": UV
    + "dns error\n  cause: failed to lookup address information: Temporary failure in name resolution",
    "uv, server error": UV
    + "HTTP status server error (503 Service Unavailable) for url (https://pypi.example/simple/)",
    "uv, too many": UV + "HTTP status client error (429 Too Many Requests) for url (https://pypi.example/simple/foo/)",
    "uv, time-out": UV + "operation timed out",
}
ANSWERS = {
    "git, no repository": "fatal: repository 'https://git.example/x.git/' not found",
    "git, no access": "fatal: could not read Username for 'https://git.example': terminal prompts disabled",
    "git, denied": GIT + "The requested URL returned error: 403",
    "git, no branch": "warning: Could not find remote branch gone to clone.\n"
    "fatal: Remote branch gone not found in upstream origin",
    "git, certificate": GIT + "SSL certificate problem: self-signed certificate",
    "git, redirect": GIT + "The requested URL returned error: 302",
    "uv, no package": NO_SOLUTION,
    "uv, no access": NO_SOLUTION
    + "\nhint: An index URL (https://pypi.example/simple) could not be queried due to a lack "
    "of valid authentication credentials (401 Unauthorized)",
    "uv, denied": NO_SOLUTION + "\nhint: An index (https://pypi.example/simple) returned a 403 Forbidden error.",
    "uv, no version": NO_SOLUTION + "  cause: Because there is no version of foo==1",
    "uv, certificate": UV + "client error (Connect)\n  cause: invalid peer certificate: UnknownIssuer",
    "uv, the package's own code": "  x Failed to build `foo @ file:///w`\n  ConnectionRefusedError: Connection refused",
    "nothing": "",
}


@pytest.mark.parametrize("words", AWAY.values(), ids=AWAY)
def test_a_host_that_does_not_answer_is_away(words: str) -> None:
    assert is_away(words)


@pytest.mark.parametrize("words", ANSWERS.values(), ids=ANSWERS)
def test_a_host_that_answers_with_no_is_there(words: str) -> None:
    assert not is_away(words)


@pytest.mark.parametrize("number", [socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM, socket.EAI_MEMORY])
def test_a_name_server_that_does_not_answer_is_no_refusal(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def nothing(*_a: object, **_k: object) -> None:
        raise socket.gaierror(number, "no answer")

    monkeypatch.setattr(addresses.socket, "getaddrinfo", nothing)

    with pytest.raises(addresses.NoAnswerError, match=r"example\.org: the name cannot be resolved: no answer"):
        addresses.resolve("example.org", 443)
