"""Reads a file whose content the server checks."""

from pathlib import Path

from cli.failure import UsageError, refused
from model.document import read_yaml
from model.problems import InvalidError


def read_document(file: Path) -> object:
    """Return the value of a YAML or JSON file. Raises: UsageError if it is none."""
    try:
        return read_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    except InvalidError as error:
        raise refused(error) from error
