"""Which repositories are refused before any program is started."""

from pathlib import Path

import pytest

from cluster.local import git


@pytest.fixture(autouse=True)
def nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git.subprocess, "Popen", lambda *_a, **_k: pytest.fail("git was started"))
    monkeypatch.setattr(git, "_version", lambda: (2, 50))


@pytest.mark.parametrize(
    "repository",
    [
        "ext::sh -c touch% /tmp/pwned",
        "file:///etc",
        "/etc",
        "--upload-pack=touch /tmp/pwned",
        "-u",
        "http://example.org/a.git",
        "ssh://example.org/a.git",
        "git@example.org:a.git",
        "git://example.org/a.git",
        "https://user:word@example.org/a.git",
        "https://token@example.org/a.git",
        "https:///a.git",
        "https://example.org",
        "https://example.org/",
        "https://example.org/a.git?x=1",
        "https://example.org/a.git#main",
        "https://example.org:99999/a.git",
        "https://example.org:0/a.git",
        "https://example.org/a b.git",
        "https://example.org/a\n.git",
        "https://[::1/a.git",
        "HTTPS\\://example.org/a.git",
        "",
    ],
)
def test_an_address_that_is_not_plain_https_is_refused(repository: str, tmp_path: Path) -> None:
    with pytest.raises(git.GitError, match="repository"):
        git.clone(repository, "main", tmp_path, git.Policy())


@pytest.mark.parametrize("branch", ["", "-b", "--upload-pack=x", "a b", "a..b", "a\nb", "a:b", "~1", "@{u}", "a.lock"])
def test_a_branch_that_is_an_option_or_an_expression_is_refused(branch: str, tmp_path: Path) -> None:
    with pytest.raises(git.GitError, match="branch"):
        git.clone("https://example.org/a.git", branch, tmp_path, git.Policy())


def test_a_git_that_asks_for_addresses_again_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git, "_version", lambda: (2, 36))

    with pytest.raises(git.GitError, match=r"git 2\.37 or newer"):
        git.clone("https://example.org/a.git", "main", tmp_path, git.Policy())


@pytest.mark.parametrize(
    ("head", "commit"),
    [("a" * 40, "a" * 40), ("ref: refs/heads/main", "b" * 40), ("ref: refs/heads/gone", None), ("nonsense", None)],
)
def test_the_commit_is_read_from_files(tmp_path: Path, head: str, commit: str | None) -> None:
    (tmp_path / ".git" / "refs" / "heads").mkdir(parents=True)
    (tmp_path / ".git" / "refs" / "heads" / "main").write_text("b" * 40 + "\n")
    (tmp_path / ".git" / "HEAD").write_text(head + "\n")

    assert git.commit_of(tmp_path) == commit
