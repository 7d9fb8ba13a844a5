"""Open the registry of a test: a folder beside its file, or a server."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from events.registry.wire_format import WireFormat

LOGIN = "ASSAY_REGISTRY_LOGIN"
"""The variable with user and password of the server, as `user:password`. A request sets it from a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryPlace:
    """Where the registry is: one of both is given."""

    folder: Path | None = None
    url: str = ""


def open_wire_format(place: RegistryPlace) -> "WireFormat":
    """Return what reads values by the schemas of a registry. The libraries are loaded only now."""
    from events.registry.folder import FolderRegistry  # noqa: PLC0415
    from events.registry.rest import RestRegistry  # noqa: PLC0415
    from events.registry.wire_format import WireFormat  # noqa: PLC0415

    if place.folder is not None:
        return WireFormat(FolderRegistry(place.folder))
    return WireFormat(RestRegistry(place.url, os.environ.get(LOGIN)))
