"""What a run has run: the commit or the content, and the versions of the tools (D24). All its attempts run the same.

The commands import this module, so it does not load Pydantic.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from model.lenient import mapping

Versions = tuple[tuple[str, str], ...]
"""Names of tools, plugins and interpreters with their versions, in order of name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What was run. A run has a `commit` if its content is from git, else the digest of its `content`."""

    commit: str | None = None
    content: str | None = None
    tools: Versions = ()


NOTHING_KNOWN = Provenance()


def to_json(provenance: Provenance) -> dict[str, object]:
    """Return what is known of a provenance as JSON; what is not known is left out."""
    known: dict[str, object] = {}
    if provenance.commit is not None:
        known["commit"] = provenance.commit
    if provenance.content is not None:
        known["content"] = provenance.content
    if provenance.tools:
        known["tools"] = dict(provenance.tools)
    return known


def from_json(raw: Mapping[str, object]) -> Provenance:
    """Return the provenance that `to_json` wrote."""
    return Provenance(
        commit=_text(raw.get("commit")),
        content=_text(raw.get("content")),
        tools=tuple(sorted((name, str(version)) for name, version in mapping(raw.get("tools")).items())),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
