"""Finds the servers that a command talks to: by the environment, else by the nearest state folder upwards."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.failure import UnreachableError

STATE_NAME = ".assay"
PREFECT_CREDENTIAL = "prefect-credential"
"""The file in the state folder that holds it, as `user:password`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An API and its key. The key is left out of the representation."""

    url: str
    key: str

    def __repr__(self) -> str:
        return f"Server(url={self.url!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefectServer:
    """Prefect's API and the credential for it. The credential is never part of a representation."""

    url: str
    credential: str | None

    def __repr__(self) -> str:
        return f"PrefectServer(url={self.url!r})"


def find_server(environment: Mapping[str, str] = os.environ, start: Path | None = None) -> Server:
    """Return the server to talk to. Raises: UnreachableError saying how to name one."""
    url, key = environment.get("ASSAY_URL"), environment.get("ASSAY_API_KEY")
    if url and key:
        return Server(url=url.rstrip("/"), key=key)
    state = find_state(environment, start)
    if state is None:
        raise UnreachableError(
            "no Assay server is known here: start one with `assay up`, or set ASSAY_URL and ASSAY_API_KEY"
        )
    return Server(url=(url or _address(state)).rstrip("/"), key=key or _key(state))


def find_prefect(environment: Mapping[str, str] = os.environ, start: Path | None = None) -> PrefectServer:
    """Return Prefect's API and its credential. Raises: UnreachableError saying how to name one.

    The credential of the state folder is sent to no other server than that of the state folder.
    """
    named, credential = environment.get("PREFECT_API_URL"), environment.get("PREFECT_API_AUTH_STRING")
    if named:
        return PrefectServer(url=named, credential=credential)
    state = find_state(environment, start)
    if state is None:
        raise UnreachableError("no Prefect server is known here: start one with `assay up`, or set PREFECT_API_URL")
    url = f"{_address(state, 'prefect_url').rstrip('/')}/api"
    return PrefectServer(url=url, credential=_text(state / PREFECT_CREDENTIAL, "Prefect's credential"))


def find_state(environment: Mapping[str, str] = os.environ, start: Path | None = None) -> Path | None:
    """Return the state folder of a started stack, None if there is none."""
    named = environment.get("ASSAY_STATE")
    if named:
        return Path(named)
    here = (start or Path.cwd()).resolve()
    folders = (folder / STATE_NAME for folder in (here, *here.parents))
    return next((folder for folder in folders if (folder / "stack.json").is_file()), None)


def _address(state: Path, name: str = "api_url") -> str:
    try:
        found = json.loads((state / "stack.json").read_text())
    except (OSError, ValueError) as error:
        raise UnreachableError(f"{state} holds no running stack ({error}): start it with `assay up`") from error
    url = found.get(name) if isinstance(found, dict) else None
    if not isinstance(url, str):
        raise UnreachableError(f"{state / 'stack.json'} names no {name}: start the stack again with `assay up`")
    return url


def _key(state: Path) -> str:
    return _text(state / "api-key", "the API key")


def _text(file: Path, what: str) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise UnreachableError(f"{what} in {file.parent} cannot be read ({error}): ask its owner for it") from error
