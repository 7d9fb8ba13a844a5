"""Which test a result is of: the one place where all readers get names and identities from.

The name that people see is a function of what the report says about the test itself, so it stays the same when only a
part is run or the order changes. Only where two results of a report would get the same name does more of what the
report says go into it, and a number where nothing else tells them apart.

| part | from JUnit | from pytest |
|---|---|---|
| suite | the suites around it, but those that tell nothing | the file |
| classname | `classname` | the classes |
| name, parameters | `name`, what stands in brackets at its end | likewise |
| project | a browser, device or platform: see `project_of` | |
| index | the place among results that nothing else tells apart | likewise |
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from executors.untrusted import clean_name
from model.result import ResultIdentity

_PLATFORMS = frozenset(
    [
        "android", "ios", "iphone", "ipad", "ipados", "pixel", "galaxy", "nexus", "mobile", "tablet", "desktop",
        "linux", "windows", "win32", "win64", "macos", "osx", "darwin", "ubuntu", "debian", "alpine", "fedora",
        "amd64", "arm64", "aarch64", "x64", "x86", "armv7", "portrait", "landscape",
    ]
)  # fmt: skip
_BROWSERS = frozenset(
    ["chromium", "chrome", "firefox", "webkit", "safari", "edge", "msedge", "opera", "brave", "electron"]
)
_RUNTIME = re.compile(r"(?:py|python|pypy|node|nodejs|jdk|java|jre|php|ruby|go|dotnet|net)-?\d+(?:\.\d+)*")
_TOKEN = re.compile(r"[a-z]+\d*(?:\.\d+)*|\d+")
_GENERIC = frozenset(
    [
        "pytest", "rspec", "minitest", "jest", "mocha", "vitest", "bun", "deno", "playwright", "cypress", "junit",
        "xunit", "unittest", "nextest", "tests", "test", "root", "suite", "alltests", "testsuite", "testsuites",
        "results", "report", "run", "default", "cli", "arguments", "all", "main", "undefined", "unnamed", "the",
        "whole",
    ]
)  # fmt: skip
_STAMP = re.compile(r"[-_ ]\d{8,14}(?:[-T]?\d{6})?$")
"""unittest-xml-reporting appends the time of the run to the name of a suite."""
_SCRIPT = re.compile(r"\.[cm]?[jt]sx?$")
_OTHER_RUNNERS = ("vitest", "bun", "deno", "jest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What a report says about which test a result is of, in the tool's own words.

    `suites` are the names of the suites around it, the outermost first; `root` that of the document's root; `project`
    what the report calls a browser, a device or a platform; `report` the file that it was read from, if that is one of
    several.
    """

    name: str
    classname: str = ""
    suites: tuple[str, ...] = ()
    root: str = ""
    project: str = ""
    host: str = ""
    file: str = ""
    report: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The name that people see, and the identity behind it."""

    shown: str
    identity: ResultIdentity


def from_junit(reported: Sequence[Reported]) -> list[Named]:
    """Return name and identity of each result of a JUnit report, in its order."""
    return _numbered(_told_apart([_named(one) for one in reported], reported))


def from_pytest(node_ids: Iterable[str]) -> list[Named]:
    """Return name and identity of each pytest item; items of one node id are numbered in their order."""
    return _numbered([_pytest_named(node_id) for node_id in node_ids])


def _pytest_named(node_id: str) -> Named:
    """Return the parts of a node id: `tests/test_a.py::TestB::test_c[x]`. Brackets may hold colons."""
    suite, colons, rest = node_id.partition("::")
    if not colons:
        return Named(shown=node_id, identity=ResultIdentity(suite=suite, name=suite))
    name, parameters = _split_parameters(rest)
    classname, _, name = name.rpartition("::")
    return Named(
        shown=node_id,
        identity=ResultIdentity(suite=suite, classname=classname, name=name, parameters=parameters),
    )


def _split_parameters(name: str) -> tuple[str, str]:
    """Return a name without the brackets at its end, and what they hold."""
    base, bracket, parameters = name.partition("[")
    if bracket and base.strip() == base != "" and parameters.endswith("]"):
        return base, parameters[:-1]
    return name, ""


def project_of(reported: Reported) -> str:
    """Return the browser, device or platform that a result is of, empty where the report names none.

    In this order: what the report calls so; a host name that is Playwright's name of a project; a file, a root or a
    suite that is named like a browser or a platform.
    """
    parts = [reported.project]
    if _is_project_of_playwright(reported) or _speaks_of(reported.host, _BROWSERS):
        parts.append(reported.host)
    parts += [text for text in (_stem(reported.report), reported.root) if _speaks_of_a_platform(text)]
    *outer, inner = reported.suites or ("",)
    parts += [suite for suite in (*outer, inner) if _speaks_of_a_platform(suite) and _tells(suite, reported)]
    return " / ".join(dict.fromkeys(part for part in parts if part))


def _named(reported: Reported) -> Named:
    base = "::".join(part for part in (reported.classname, reported.name) if part) or "unnamed"
    project = project_of(reported)
    name, parameters = _split_parameters(reported.name or "unnamed")
    identity = ResultIdentity(
        suite=_suite(reported),
        classname=reported.classname,
        name=name,
        parameters=parameters,
        project=project,
    )
    return Named(shown=_with(base, project), identity=identity)


def _stem(report: str) -> str:
    return report.removesuffix(".xml")


def _told_apart(named: list[Named], reported: Sequence[Reported]) -> list[Named]:
    """Add to names that come more than once what the report says besides, as far as it makes a difference."""
    for says in _DISCRIMINATORS:
        for places in _of_one_name(named):
            told = [says(named[place], reported[place]) for place in places]
            if len(set(told)) > 1:
                for place, more in zip(places, told, strict=True):
                    named[place] = _told_more(named[place], more)
    return named


def _of_one_name(named: Sequence[Named]) -> list[list[int]]:
    places = defaultdict(list)
    for place, one in enumerate(named):
        places[one.shown].append(place)
    return [several for several in places.values() if len(several) > 1]


def _suite(reported: Reported) -> str:
    """Return the innermost suite, and of those further out what does not depend on how the tool was called."""
    *outer, inner = reported.suites or ("",)
    return " / ".join(
        _stable(suite) for suite in (*(suite for suite in outer if _tells(suite, reported)), inner) if suite
    )


def _whole_path(_: Named, reported: Reported) -> str:
    return " / ".join(_stable(suite) for suite in (reported.root, *reported.suites) if suite)


_DISCRIMINATORS: tuple[Callable[[Named, Reported], str], ...] = (
    lambda named, _: named.identity.suite,
    _whole_path,
    lambda _, reported: reported.host,
    lambda _, reported: reported.file,
    lambda _, reported: _stem(reported.report),
)
"""What is asked in turn where names are equal."""


def _told_more(named: Named, more: str) -> Named:
    """Add `more` to a name; to its identity too, unless that has it as its suite."""
    if not more:
        return named
    if more == named.identity.suite:
        return replace(named, shown=_with(named.shown, more))
    project = " / ".join(part for part in (named.identity.project, more) if part)
    return Named(shown=_with(named.shown, more), identity=replace(named.identity, project=project))


def _with(shown: str, more: str) -> str:
    return f"{shown} [{more}]" if more else shown


def _numbered(named: Iterable[Named]) -> list[Named]:
    """Make all names fit for their column and unique: the second of one name ends in `#2`."""
    seen: dict[str, int] = defaultdict(int)
    taken: set[str] = set()
    result = []
    for one in named:
        fitted = None
        while fitted is None or fitted in taken:
            seen[one.shown] += 1
            index = seen[one.shown]
            fitted = clean_name(one.shown if index == 1 else f"{one.shown} #{index}")
        taken.add(fitted)
        result.append(Named(shown=fitted, identity=_fitted(replace(one.identity, index=index))))
    return result


def _fitted(identity: ResultIdentity) -> ResultIdentity:
    return replace(
        identity,
        suite=clean_name(identity.suite),
        classname=clean_name(identity.classname),
        name=clean_name(identity.name),
        parameters=clean_name(identity.parameters),
        project=clean_name(identity.project),
    )


def _stable(suite: str) -> str:
    """Return a suite's name without what differs from run to run: a time at its end, the folder of the run."""
    suite = _STAMP.sub("", suite)
    return suite.rpartition("/")[2] if suite.startswith("/") else suite


def _tells(suite: str, reported: Reported) -> bool:
    """Say whether a suite's name says something that the class and the innermost suite do not."""
    if suite.startswith("/") or suite.endswith((".xml", ".xml.dist")):  # PHPUnit's settings file
        return False
    words = _words(suite)
    if not words or set(words) <= _GENERIC:
        return False
    known = [reported.classname, reported.name, *(other for other in reported.suites[-1:] if other != suite)]
    return not any(_contains(_words(text), words) for text in known)


@lru_cache(maxsize=4096)
def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _contains(words: list[str], part: list[str]) -> bool:
    return any(words[start : start + len(part)] == part for start in range(len(words) - len(part) + 1))


@lru_cache(maxsize=4096)
def _speaks_of_a_platform(text: str) -> bool:
    return _speaks_of(text, _BROWSERS | _PLATFORMS) or any(
        _RUNTIME.fullmatch(word) for word in re.split(r"[\s/_:,()]+", text.lower())
    )


@lru_cache(maxsize=4096)
def _speaks_of(text: str, known: frozenset[str]) -> bool:
    return any(token in known or token.rstrip("0123456789.") in known for token in _TOKEN.findall(text.lower()))


def _is_project_of_playwright(reported: Reported) -> bool:
    """Say whether `hostname` is a project. Playwright writes it so, and the file as suite and as class.

    Others who write the file so, vitest for one, put the name of the machine there.
    """
    suite = reported.suites[-1] if reported.suites else ""
    if not reported.host or suite != reported.classname or not _SCRIPT.search(suite):
        return False
    return not reported.root.lower().startswith(_OTHER_RUNNERS) and reported.host != os.uname().nodename
