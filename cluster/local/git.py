"""Clones a repository that a request names: only https, only checked addresses, no hooks, options or redirects."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from cluster import addresses
from cluster.local import guarded_command
from cluster.local.guarded_command import GuardedCommand, StoppedError, never
from cluster.local.unreachable import HostAwayError, is_away
from model import forms

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HOW = ("--depth", "1", "--no-tags", "--quiet")
_BY_NAME = ("--single-branch", "--template=", "--branch")
_OLDEST = (2, 37)
"""The first git that connects to given addresses instead of asking for them again (http.curloptResolve)."""


class GitError(ValueError):
    """The repository cannot be cloned, or may not be. The message is for the author of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What may be cloned. `allowed_hosts` are private hosts, `ca_file` holds their certificate authority.

    `stopped` is asked now and then whether the clone is to be broken off.
    """

    allowed_hosts: frozenset[str] = frozenset()
    ca_file: Path | None = None
    timeout_seconds: float = 300.0
    largest: int = 500 * 2**20
    stopped: Callable[[], bool] = never


def clone(repository: str, branch: str, folder: Path, policy: Policy, commit: str | None = None) -> None:
    """Fill the empty `folder` with the head of `branch`, or with a `commit` that it has or had, without history.

    Raises: GitError if the address or branch is refused, or the clone fails or grows too large; HostAwayError if the
    host does not answer or takes too long; StoppedError.
    """
    url = _checked(repository)
    _check(branch, commit)
    if _version() < _OLDEST:
        raise GitError(f"the worker needs git {_OLDEST[0]}.{_OLDEST[1]} or newer to clone safely; install it there")
    try:
        found = addresses.resolve(url.hostname or "", url.port or 443, policy.allowed_hosts)
    except addresses.NoAnswerError as error:
        raise HostAwayError(f"repository: {error}") from error
    except addresses.AddressError as error:
        raise GitError(f"repository: {error}") from error
    with tempfile.TemporaryDirectory(prefix="assay-git-") as home:
        env = _environment(Path(home), policy)
        git = ["git", *_options(url, found)]
        head = [*git, "clone", *_HOW, *_BY_NAME, branch, "--", url.geturl(), str(folder)]
        if commit is None:
            _watch(head, env, folder, policy)
            return
        try:
            for command in _fetching(git, url, branch, commit, folder):
                _watch(command, env, folder, policy)
        except GitError as refused:  # some servers give only the heads of branches
            _empty(folder)
            _watch(head, env, folder, policy)
            if commit_of(folder) != commit:
                message = f"commit: {commit} cannot be had, and {branch} is not there any more: {refused}"
                raise GitError(message) from refused


def commit_of(folder: Path) -> str | None:
    """Return the commit that was cloned into `folder`, read from its files: git must not run on what a test changed."""
    try:
        head = (folder / ".git" / "HEAD").read_text().strip()
        if head.startswith("ref: refs/heads/"):
            head = (folder / ".git" / head.removeprefix("ref: ")).read_text().strip()
    except OSError:
        return None
    return head if _COMMIT.fullmatch(head) else None


def _checked(repository: str) -> SplitResult:
    """Return the parts of an https address. Raises: GitError for anything else."""
    try:
        url = urlsplit(repository)
        port = url.port
    except ValueError as error:
        raise GitError(f"repository: {repository[:200]!r} is not an address: {error}") from error
    if url.scheme != "https" or not url.hostname or not url.path.strip("/"):
        raise GitError(f"repository: {repository[:200]!r} is refused: only https://host/path is cloned")
    if url.username is not None or url.password is not None:
        raise GitError("repository: an address with a user or a password in it is refused: it would be shown to all")
    if url.query or url.fragment or re.search(r"[\s\x00-\x20\x7f\\]", repository) or port == 0:
        raise GitError(f"repository: {repository[:200]!r} holds characters that no repository's address needs")
    return url


def _check(branch: str, commit: str | None) -> None:
    """Raise GitError for what git would not take, or would take for an option."""
    try:
        forms.branch(branch)
    except ValueError as error:
        raise GitError(f"branch: {branch[:100]!r} {error}") from error
    if commit is not None and not _COMMIT.fullmatch(commit):
        raise GitError(f"commit: {commit[:100]!r} is none")


def _fetching(git: list[str], url: SplitResult, branch: str, commit: str, folder: Path) -> list[list[str]]:
    """Return the calls of git that end with the commit checked out. Before version 2.49, git clones by name only."""
    inside = [*git, "-C", str(folder)]
    return [
        [*git, "init", "--quiet", "--template=", "--", str(folder)],
        [*inside, "remote", "add", "--", "origin", url.geturl()],
        [*inside, "fetch", *_HOW, "--", "origin", commit],
        [*inside, "checkout", "--quiet", "-B", branch, "FETCH_HEAD", "--"],
    ]


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _options(url: SplitResult, found: tuple[addresses.Address, ...]) -> list[str]:
    port = url.port or 443
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    pinned = ",".join(f"[{a}]" if a.version == 6 else str(a) for a in found)  # noqa: PLR2004  the IP version
    settings = {
        "protocol.allow": "never",
        "protocol.https.allow": "always",
        "http.followRedirects": "false",
        "http.curloptResolve": f"{host}:{port}:{pinned}",
        "http.lowSpeedLimit": "1000",
        "http.lowSpeedTime": "30",
        "core.hooksPath": "/dev/null",
        "core.fsmonitor": "false",
        "credential.helper": "",
        "submodule.recurse": "false",
    }
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _environment(home: Path, policy: Policy) -> dict[str, str]:
    """Return the variables for git. None are ours, so there is no configuration, no credential and no proxy."""
    certificates = {"GIT_SSL_CAINFO": str(policy.ca_file)} if policy.ca_file else {}
    return certificates | {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "GIT_ALLOW_PROTOCOL": "https",
        "GIT_ASKPASS": "/bin/false",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }


def _watch(command: list[str], env: dict[str, str], folder: Path, policy: Policy) -> None:
    """Run the clone. End it if it takes too long, grows too large or is broken off."""
    words = Path(env["HOME"]) / "words"
    deadline = time.monotonic() + policy.timeout_seconds

    def look() -> None:
        if policy.stopped():
            raise StoppedError
        if time.monotonic() > deadline:
            raise HostAwayError(f"repository: cloning took more than {policy.timeout_seconds:g} s")
        _bounded(folder, policy.largest)

    with words.open("wb") as said:
        code = guarded_command.run(
            GuardedCommand(command=tuple(command), cwd=Path(env["HOME"]), env=env, words=said), look
        )
    if code:
        raise _failure(words)
    _bounded(folder, policy.largest)


def _bounded(folder: Path, largest: int) -> None:
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118  many files, often
            except FileNotFoundError:
                continue
    if size > largest:
        raise GitError(f"repository: it is larger than {largest} bytes")


def _failure(words: Path) -> GitError | HostAwayError:
    """Return what git's last words mean."""
    said = words.read_text(errors="replace").strip()
    lines = said.splitlines()
    message = f"repository: git could not clone it: {lines[-1][:500] if lines else 'it said nothing'}"
    return HostAwayError(message) if is_away(said) else GitError(message)


@cache
def _version() -> tuple[int, ...]:
    """Return the version of the git on our path, (0,) if there is none."""
    program = shutil.which("git")
    if program is None:
        return (0,)
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=10).stdout
    numbers = re.search(r"(\d+)\.(\d+)", said)
    return tuple(int(number) for number in numbers.groups()) if numbers else (0,)
