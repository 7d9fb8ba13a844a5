"""Where the tests come from."""

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from model import forms
from model.fields import FORBID, SHA256_PATTERN, Entries, RelativePath

WHOLE = "."
"""The entry that means all of a content."""
ENTRIES = "What is run of the content: a folder, a file, for pytest also a node id or a list; '.' for all of it"


@dataclass(frozen=True, slots=True, kw_only=True)
class GitContent:
    """A git repository over https. `path` is a folder or file inside it."""

    __pydantic_config__ = FORBID

    type: Annotated[Literal["git"], Field(description="A git repository")] = "git"
    repository: Annotated[
        str,
        Field(min_length=1, max_length=2048, description="Its address, https only"),
        AfterValidator(forms.repository),
    ]
    branch: Annotated[
        str, Field(min_length=1, max_length=255, description="A branch or a tag"), AfterValidator(forms.branch)
    ] = "main"
    path: Annotated[Entries, Field(description=ENTRIES)] = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineContent:
    """Files inside the request: relative path to text, at most 1 MiB in all."""

    __pydantic_config__ = FORBID

    type: Annotated[Literal["inline"], Field(description="Files inside the request")] = "inline"
    files: Annotated[
        dict[RelativePath, str],
        Field(min_length=1, max_length=200, description="Relative path to text, at most 1 MiB in all"),
    ]
    path: Annotated[Entries, Field(description=ENTRIES)] = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactContent:
    """A packed folder (tar.gz) that was uploaded by `PUT /api/v1/content/{sha256}`."""

    __pydantic_config__ = FORBID

    type: Annotated[Literal["artifact"], Field(description="A packed folder that was uploaded")] = "artifact"
    sha256: Annotated[str, Field(pattern=SHA256_PATTERN, description="The SHA-256 of its bytes")]
    path: Annotated[Entries, Field(description=ENTRIES)] = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveContent:
    """A packed folder (tar.gz) that is downloaded over https. The digest says which: so every attempt runs the same."""

    __pydantic_config__ = FORBID

    type: Annotated[Literal["archive"], Field(description="A packed folder that is downloaded")] = "archive"
    url: Annotated[
        str,
        Field(min_length=1, max_length=2048, description="The address of a tar.gz, https only"),
        AfterValidator(forms.archive),
    ]
    sha256: Annotated[str, Field(pattern=SHA256_PATTERN, description="The SHA-256 of its bytes")]
    path: Annotated[Entries, Field(description=ENTRIES)] = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalContent:
    """A folder beside a suite file. The command packs and uploads it, so the API never gets this type."""

    __pydantic_config__ = FORBID

    type: Annotated[Literal["local"], Field(description="A folder beside this file")] = "local"
    path: Annotated[str, Field(min_length=1, max_length=1024, description="The folder, relative to this file")]
    entry: Annotated[Entries, Field(description=ENTRIES)] = "."


MOST_INLINE_BYTES = 2**20

TestContent: TypeAlias = GitContent | InlineContent | ArtifactContent | ArchiveContent


def entries(content: TestContent) -> tuple[str, ...]:
    """Return what is run of a content, empty for all of it."""
    named = (content.path,) if isinstance(content.path, str) else content.path
    return () if named == (WHOLE,) else named


def entry_paths(content: TestContent) -> tuple[str, ...]:
    """Return the folders and files that are run of a content; `.` alone for all of it."""
    return tuple(one.partition("::")[0] for one in entries(content)) or (WHOLE,)


def digest(content: TestContent) -> str | None:
    """Return the SHA-256 of a content that was sent; None for git, of which only the clone knows the commit."""
    match content:
        case ArtifactContent() | ArchiveContent():
            return content.sha256
        case InlineContent():
            canonical = json.dumps(content.files, sort_keys=True, separators=(",", ":"))
            return hashlib.sha256(canonical.encode()).hexdigest()
        case _:
            return None
