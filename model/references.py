"""What a request or a suite refers to outside of itself, read from input that may be wrong elsewhere.

So a sender whose request has a mistake learns at the same time that a secret is not set.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from model import secret
from model.fields import SHA256_PATTERN
from model.lenient import items, mapping
from model.problems import Location, Problem, dotted
from model.suite_rules import merged


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The name of a secret, or the digest of a content, and where it stands."""

    path: str
    name: str


def secrets_wanted(raw: object) -> list[Reference]:
    """Return the references to secrets in a test or in the tests of a suite."""
    return [
        Reference(path=dotted((*test, *place, key)), name=name)
        for test, own in _tests(raw)
        for place, env in ((("env",), own.get("env")), (("config", "env"), mapping(own.get("config")).get("env")))
        for key, value in mapping(env).items()
        if isinstance(key, str) and isinstance(value, str)
        for name in sorted(secret.names([value]))
    ]


def contents_wanted(raw: object) -> list[Reference]:
    """Return the references to contents that are sent apart, in a test or in the tests of a suite."""
    return [
        Reference(path=dotted((*test, "content", "sha256")), name=digest)
        for test, own in _tests(raw)
        if (content := mapping(own.get("content"))).get("type") == "artifact"
        and isinstance(digest := content.get("sha256"), str)
        and re.fullmatch(SHA256_PATTERN, digest)
    ]


def secret_is_not_set(wanted: Reference) -> Problem:
    """Return the problem of a secret that is not set."""
    name = wanted.name
    message = f"refers to the secret {name}, which is not set: assay secret set {name} env:NAME"
    return Problem(path=wanted.path, message=message)


def content_is_not_known(wanted: Reference) -> Problem:
    """Return the problem of a content that was not sent."""
    message = f"is not known here: send it first, by PUT /api/v1/content/{wanted.name}"
    return Problem(path=wanted.path, message=message)


def _tests(raw: object) -> Iterator[tuple[Location, dict[str, object]]]:
    """Yield the tests, with the defaults of their suite, and where they stand."""
    document = mapping(raw)
    if "tests" not in document:
        yield (), document
        return
    defaults = mapping(document.get("defaults"))
    for position, own in enumerate(items(document.get("tests"))):
        yield ("tests", position), merged(defaults, mapping(own))
