"""Content by reference: a packed folder must have been sent before a test may name it."""

from collections.abc import Callable
from typing import TypeAlias

from model.content import ArtifactContent
from model.problems import Problem
from model.references import Reference, content_is_not_known
from model.request import TestRequest

KnownContent: TypeAlias = Callable[[str], bool]
"""Whether the content of a SHA-256 was sent. Each door is wired to the folder where it would lie."""


def unknown_content(request: TestRequest, known: KnownContent | None) -> list[Problem]:
    """Return the problem of content that was not sent before, if that is so; without `known` nothing is asked."""
    content = request.content
    if known is None or not isinstance(content, ArtifactContent) or known(content.sha256):
        return []
    return [content_is_not_known(Reference(path="content.sha256", name=content.sha256))]
