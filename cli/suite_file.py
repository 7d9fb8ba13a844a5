"""Reads suite and test files, applies `--set`, checks them, and sends their local folders."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from cli.failure import CommandError, UsageError, refused
from cli.output import say, size
from cli.pack import pack
from model.content import ArtifactContent
from model.document import read_yaml
from model.lenient import items, mapping
from model.problems import InvalidError, Problem
from model.references import secret_is_not_set, secrets_wanted
from model.request import LocalTest, TestRequest, with_content
from model.suite import Suite
from orchestrator.checking import check_file

if TYPE_CHECKING:
    from cli.client import Client  # httpx loads slowly, and checking a file needs no server

Loaded: TypeAlias = Suite | TestRequest | LocalTest
Step: TypeAlias = str | int

SUITE_KEYS = frozenset(
    {"name", "description", "overlap", "start", "startDeadlineSeconds", "schedules", "experiment", "defaults", "tests"}
)
_MOST_LINKS_NAMED = 10
_STEPS = re.compile(r"[^.\[\]=]+(?:\.[^.\[\]=]+|\[\d+\])*")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def load(path: Path, settings: Sequence[str] = (), secrets: Callable[[], Collection[str]] | None = None) -> Loaded:
    """Read a file, apply `--set`, and check the result. Raises: UsageError, or RefusedError with all problems.

    `secrets` asks a server for the names of secrets, so that a refusal names those that are not set too.
    """
    document: object = None
    try:
        document = read_yaml(path.read_text(encoding="utf-8"))
        for setting in settings:
            change(document, setting)
        return check_file(document)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    except InvalidError as error:
        raise refused(InvalidError([*error.problems, *_not_set(document, secrets)])) from error


def _not_set(document: object, secrets: Callable[[], Collection[str]] | None) -> list[Problem]:
    wanted = secrets_wanted(document)
    if secrets is None or not wanted:
        return []
    try:
        known = secrets()
    except CommandError:  # without a server the problems of the file are all that can be told
        return []
    return [secret_is_not_set(each) for each in wanted if each.name not in known]


def send_content(client: "Client", loaded: Loaded, beside: Path) -> Suite | TestRequest:
    """Send the local folders of a file, relative to `beside`, and replace them by their digests."""
    sent: dict[Path, str] = {}
    if isinstance(loaded, Suite):
        return replace(loaded, tests=tuple(_sent(client, test, beside, sent) for test in loaded.tests))
    return _sent(client, loaded, beside, sent)


def _sent(client: "Client", test: TestRequest | LocalTest, beside: Path, sent: dict[Path, str]) -> TestRequest:
    if isinstance(test, TestRequest):
        return test
    folder = (beside / test.content.path).resolve()
    if folder not in sent:
        sent[folder] = _send(client, folder)
    return with_content(test, ArtifactContent(sha256=sent[folder], path=test.content.entry))


def _send(client: "Client", folder: Path) -> str:
    packed = pack(folder)
    for link in packed.left_out[:_MOST_LINKS_NAMED]:
        say(f"warning: the symbolic link {link}, so it is not sent")
    if len(packed.left_out) > _MOST_LINKS_NAMED:
        say(f"warning: {len(packed.left_out) - _MOST_LINKS_NAMED} more symbolic links are not sent")
    try:
        answer = client.upload(f"/content/{packed.sha256}", packed.file)
        if answer["created"]:
            say(f"sent {folder} ({size(packed.size)} packed)")
    finally:
        packed.file.unlink()
    return packed.sha256


def change(document: object, setting: str) -> None:
    """Apply one `PATH=VALUE`. In a suite, a path that is not a key of the suite is set in each of its tests."""
    path, separator, text = setting.partition("=")
    if not separator or not _STEPS.fullmatch(path):
        raise UsageError(f"--set {setting}: write path=value, for example config.timeout=60")
    steps: list[Step] = [int(m[2]) if m[2] else m[1] for m in _STEP.finditer(path)]
    try:
        value = read_yaml(text)
    except InvalidError as error:
        raise UsageError(f"--set {setting}: the value {error}") from error
    suite = mapping(document)
    for target in items(suite["tests"]) if "tests" in suite and steps[0] not in SUITE_KEYS else [document]:
        _set(target, steps, value, setting)


def _set(target: Any, steps: Sequence[Step], value: object, setting: str) -> None:
    *way, last = steps
    for step in way:
        if isinstance(target, dict) and isinstance(step, str):
            target = target.setdefault(step, {})
        else:
            target = _item(target, step, setting)
    if not (isinstance(target, dict) and isinstance(last, str)):
        _item(target, last, setting)
    target[last] = value


def _item(target: Any, step: Step, setting: str) -> Any:
    if isinstance(target, list) and isinstance(step, int) and step < len(target):
        return target[step]
    raise UsageError(f"--set {setting}: there is no {step} to change")
