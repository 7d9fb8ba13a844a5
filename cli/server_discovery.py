"""Finds the servers that a command talks to: by the environment, else by the nearest state folder upwards."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.failure import UnreachableError

STATE_NAME = ".assay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An API and its key. The key is left out of the representation."""

    url: str
    key: str

    def __repr__(self) -> str:
        return f"Server(url={self.url!r})"


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


def find_prefect(environment: Mapping[str, str] = os.environ, start: Path | None = None) -> str:
    """Return the address of Prefect's API. Raises: UnreachableError saying how to name one."""
    named = environment.get("PREFECT_API_URL")
    if named:
        return named
    state = find_state(environment, start)
    if state is None:
        raise UnreachableError("no Prefect server is known here: start one with `assay up`, or set PREFECT_API_URL")
    return f"{_address(state, 'prefect_url').rstrip('/')}/api"


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
    try:
        return (state / "api-key").read_text().strip()
    except OSError as error:
        raise UnreachableError(f"the API key in {state} cannot be read ({error}): ask its owner for a key") from error
