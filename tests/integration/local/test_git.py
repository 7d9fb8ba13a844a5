"""Cloning from a real git server over https, on loopback: what is let in, and what is refused."""

import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.git_server import Server, git_server, sh

from cluster.contents import ContentStore
from cluster.local import content, git
from cluster.local.unreachable import HostAwayError
from model.content import GitContent


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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with git_server(Path(tmp_path_factory.mktemp("git"))) as running:
        yield running


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


def test_a_commit_is_cloned_wherever_its_branch_is_now(server: Server, tmp_path: Path) -> None:
    """All attempts of a run test the same: the clone of the first and of a later attempt are alike."""
    work, bare = tmp_path / "work", server.folder / "moving.git"
    work.mkdir()
    sh("git", "init", "-q", "-b", "main", cwd=work)
    for text in ("one", "two"):
        (work / "file").write_text(text)
        sh("git", "add", ".", cwd=work)
        sh("git", "commit", "-q", "-m", text, cwd=work)
        if text == "one":
            sh("git", "clone", "-q", "--bare", str(work), str(bare), cwd=tmp_path)
            git.clone(server.url("moving.git"), "main", tmp_path / "first", server.policy())
    commit = git.commit_of(tmp_path / "first")
    sh("git", "push", "-q", str(bare), "main", cwd=work)
    git.clone(server.url("moving.git"), "main", tmp_path / "second", server.policy())

    git.clone(server.url("moving.git"), "main", tmp_path / "again", server.policy(), commit)

    assert [(tmp_path / name / "file").read_text() for name in ("first", "second", "again")] == ["one", "two", "one"]
    assert git.commit_of(tmp_path / "again") == commit != git.commit_of(tmp_path / "second")
    for name in ("first", "again"):
        assert sh("git", "symbolic-ref", "--short", "HEAD", cwd=tmp_path / name) == "main"
        assert sh("git", "remote", "get-url", "origin", cwd=tmp_path / name) == server.url("moving.git")
        assert sh("git", "rev-list", "--count", "HEAD", cwd=tmp_path / name) == "1"


def test_a_commit_that_cannot_be_had_is_only_replaced_by_itself(server: Server, head: str, tmp_path: Path) -> None:
    git.clone(server.url(), "main", tmp_path / "same", server.policy(), head)

    with pytest.raises(git.GitError, match=f"commit: {'a' * 40} cannot be had, and main is not there any more"):
        git.clone(server.url(), "main", tmp_path / "gone", server.policy(), "a" * 40)

    assert git.commit_of(tmp_path / "same") == head


@pytest.mark.parametrize("commit", ["--upload-pack=x", "main", "a" * 39, ""])
def test_what_is_no_commit_is_refused(server: Server, tmp_path: Path, commit: str) -> None:
    with pytest.raises(git.GitError, match=r"commit: .* is none"):
        git.clone(server.url(), "main", tmp_path, server.policy(), commit)


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
