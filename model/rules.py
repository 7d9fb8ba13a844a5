"""The rules across the fields of a request.

They read the plain input, so that they are checked also where single fields are wrong. A rule ignores a part of the
wrong type, because the check of that field reports it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from model import placement_rules, pod_rules
from model.content import MOST_INLINE_BYTES, WHOLE
from model.lenient import items, mapping, text
from model.problems import Finding
from model.quantity import quantity
from model.request import TestType
from model.resources import DEFAULT_CPU, DEFAULT_MEMORY

Raw: TypeAlias = dict[str, object]
Rule: TypeAlias = Callable[[Raw], Iterator[Finding]]
ToolRules: TypeAlias = Mapping[TestType, Rule]
"""For each type that can be run, the rule of its tool. A request of any other type is refused."""

MOST_ENV_BYTES = 2**20


def broken_rules(raw: object, tools: ToolRules) -> Iterator[Finding]:
    """Yield the problems that the fields of a request have together, by the rules of its tool and of all requests."""
    whole = mapping(raw)
    yield from _tool_rule(whole, tools)
    for rule in RULES:
        yield from rule(whole)


def _tool_rule(raw: Raw, tools: ToolRules) -> Iterator[Finding]:
    kind = text(raw.get("type"))
    if kind not in set(TestType):
        return
    rule = tools.get(TestType(kind))
    if rule is None:
        known = ", ".join(sorted(tools))
        yield Finding(location=("type",), message=f"no executor for {kind} yet; this version runs {known}")
    else:
        yield from rule(raw)


def _command_names_a_program(raw: Raw) -> Iterator[Finding]:
    if items(raw.get("command"))[:1] == [""]:
        yield Finding(location=("command", 0), message="must name a program")


def _limits_cover_requests(raw: Raw) -> Iterator[Finding]:
    resources = mapping(raw.get("resources"))
    for kind, default in (("cpu", DEFAULT_CPU), ("memory", DEFAULT_MEMORY)):
        request, limit = resources.get(f"{kind}Request", default), resources.get(f"{kind}Limit")
        if _is_more(request, limit):
            note = "" if f"{kind}Request" in resources else ", the default"
            message = f"is below {kind}Request ({request}{note})"
            yield Finding(location=("resources", f"{kind}Limit"), message=message)


def _is_more(one: object, other: object) -> bool:
    try:
        return quantity(text(one)) > quantity(text(other))
    except ValueError:
        return False


def _entries_stand_once(raw: Raw) -> Iterator[Finding]:
    config = mapping(raw.get("config"))
    lists = {
        ("tags",): raw.get("tags"),
        ("config", "exclusive"): config.get("exclusive"),
        ("config", "uses"): config.get("uses"),
        ("config", "retryPolicy", "retryConditions"): mapping(config.get("retryPolicy")).get("retryConditions"),
    }
    for location, entries in lists.items():
        seen: set[str] = set()
        for position, entry in enumerate(items(entries)):
            if isinstance(entry, str) and entry in seen:
                yield Finding(location=(*location, position), message="is there twice")
            seen.add(text(entry))


def _inline_files_are_a_tree(raw: Raw) -> Iterator[Finding]:
    files = _inline_files(raw)
    folders = {path[:end] for path in files for end, character in enumerate(path) if character == "/"}
    for path in files:
        if path in folders:
            yield Finding(location=("content", "files", path), message="is a file, and other files stand in it")


def _inline_files_are_small(raw: Raw) -> Iterator[Finding]:
    size = sum(len(content.encode()) for content in _inline_files(raw).values() if isinstance(content, str))
    if size > MOST_INLINE_BYTES:
        message = "hold more than 1 MiB in all: use git, or a local folder in a suite file"
        yield Finding(location=("content", "files"), message=message)


def _inline_paths_exist(raw: Raw) -> Iterator[Finding]:
    files = _inline_files(raw)
    if not files:
        return
    requirements = _requirements(raw)
    for named in named_entries(raw):
        path = named.partition("::")[0]
        if path != WHOLE and not any(f"{file}/".startswith(f"{path}/") for file in files):
            which = "is" if mapping(raw.get("content")).get("path") == named else f"has {named!r}, which is"
            message = f"{which} none of content.files, and no folder of them"
            yield Finding(location=("content", "path"), message=message)
    if requirements is not None and requirements not in files:
        yield Finding(location=("setup", "requirements"), message="is none of content.files")


def named_entries(raw: Raw) -> list[str]:
    """Return the entries that a request names, of content that was sent or of a local folder."""
    content = mapping(raw.get("content"))
    given = content.get("entry" if content.get("type") == "local" else "path", WHOLE)
    return [one for one in (given if isinstance(given, list) else [given]) if isinstance(one, str)]


def _requirements(raw: Raw) -> str | None:
    requirements = mapping(raw.get("setup")).get("requirements")
    return requirements if isinstance(requirements, str) else None


def _inline_files(raw: Raw) -> Raw:
    content = mapping(raw.get("content"))
    return mapping(content.get("files")) if content.get("type") == "inline" else {}


def _environment_is_small(raw: Raw) -> Iterator[Finding]:
    both = [mapping(raw.get("env")), mapping(mapping(raw.get("config")).get("env"))]
    size = sum(len(name.encode()) + len(text(value).encode()) for env in both for name, value in env.items())
    if size > MOST_ENV_BYTES:
        message = "holds, with config.env, more than 1 MiB: no program could be started with it"
        yield Finding(location=("env",), message=message)


RULES: tuple[Rule, ...] = (
    _command_names_a_program,
    _limits_cover_requests,
    _entries_stand_once,
    _inline_files_are_a_tree,
    _inline_files_are_small,
    _inline_paths_exist,
    _environment_is_small,
    *placement_rules.RULES,
    *pod_rules.RULES,
)
