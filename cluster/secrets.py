"""Resolves references to secrets: variables of this process, and files of this machine."""

from collections.abc import Mapping
from pathlib import Path

from model.ports import SecretError

LARGEST_SECRET = 65_536


class SecretStore:
    """Resolves `env:NAME` and `file:PATH`: the port `model.ports.Secrets`. One newline at a file's end is cut off."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def resolve(self, reference: str) -> str:
        """Return the value behind `reference`. Raises: SecretError if there is none; it never holds a value."""
        scheme, _, rest = reference.partition(":")
        if scheme == "env":
            return self._variable(rest)
        if scheme == "file":
            return _content(Path(rest))
        if scheme == "kubernetes":
            raise SecretError(f"{reference}: Kubernetes secrets need the Kubernetes backend; here use env: or file:")
        raise SecretError(f"{scheme}: is not a kind of reference; write env:NAME or file:PATH")

    def _variable(self, name: str) -> str:
        value = self._environment.get(name)
        if value is None:
            raise SecretError(f"env:{name}: the worker's environment has no such variable")
        if not value.isprintable() and any("\ud800" <= character <= "\udfff" for character in value):
            raise SecretError(f"env:{name}: it is not UTF-8 text")
        return value


def _content(path: Path) -> str:
    if not path.is_absolute():
        raise SecretError(f"file:{path}: the path must be absolute")
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_SECRET + 1)
        text = data.decode()
    except OSError as error:
        raise SecretError(f"file:{path}: the worker cannot read it: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SecretError(f"file:{path}: it is not UTF-8 text") from error
    if len(data) > LARGEST_SECRET:
        raise SecretError(f"file:{path}: it is larger than {LARGEST_SECRET} bytes")
    return text.removesuffix("\n")
