"""Files that a test names: AsyncAPI documents and experiments. Their content takes the place of the name.

A document may refer to other files in the folder of the test, such as `common/messages.yaml#/OrderPaid`. They become a
part of it, and so do those that they refer to.
"""

import re
from pathlib import Path
from urllib.parse import unquote

from model.document import read_yaml, refuse_too_large
from model.problems import InvalidError, Problem


def with_documents(raw: object, folder: Path) -> object:
    """Return the data of a test with the content of the files that it names in `folder`. Raises: InvalidError."""
    if not isinstance(raw, dict):
        return raw
    found = dict(raw)
    if isinstance(assertions := raw.get("assertions"), list):
        found["assertions"] = [
            _with(one, "asyncapi", folder, f"assertions[{number}]") for number, one in enumerate(assertions)
        ]
    if "chaos" in raw:
        found["chaos"] = _with(raw["chaos"], "experiment", folder, "chaos")
    return found


def _with(raw: object, key: str, folder: Path, path: str) -> object:
    """Return a mapping with the content of the file that it names under `key`."""
    if not isinstance(raw, dict) or not isinstance(named := raw.get(key), str):
        return raw
    try:
        document = _Bundle(folder).document(folder / named)
    except InvalidError as error:
        raise error.under(f"{path}.{key}") from error
    return {**raw, key: document}


MOST_FILES = 100


class _Bundle:
    """One document with all files that it refers to, which stand under `components` in it, under a number."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._numbers: dict[Path, str] = {}
        self._files: dict[str, object] = {}

    def document(self, file: Path) -> object:
        """Return the content of a file, whose references lead into itself. Raises: InvalidError."""
        try:
            content = self._with_own_references(_read(file), file, "#")
        except RecursionError as error:
            raise _problem("is nested too deeply") from error
        if not self._files or not isinstance(content, dict):
            return content
        components = content.get("components", {})
        return {**content, "components": {**(components if isinstance(components, dict) else {}), _FILES: self._files}}

    def _with_own_references(self, value: object, file: Path, root: str) -> object:
        """Return a value of a file with each reference as it is within the bundle. `root` is where the file stands."""
        if isinstance(value, list):
            return [self._with_own_references(one, file, root) for one in value]
        if not isinstance(value, dict):
            return value
        found = {key: self._with_own_references(one, file, root) for key, one in value.items()}
        reference = value.get("$ref")
        if isinstance(reference, str) and not _ADDRESS.match(reference):
            name, _, pointer = reference.partition("#")
            found["$ref"] = (self._root_of((file.parent / unquote(name)).resolve()) if name else root) + pointer
        return found

    def _root_of(self, file: Path) -> str:
        """Return where the content of another file stands in the bundle."""
        if file not in self._numbers:
            if not file.is_relative_to(self._folder):
                raise _problem(f"refers to {file.name!r}, which is outside of the folder of the test")
            if len(self._numbers) >= MOST_FILES:
                raise _problem(f"refers to more than {MOST_FILES} files")
            number = self._numbers[file] = str(len(self._numbers))
            self._files[number] = {}
            self._files[number] = self._with_own_references(_read(file), file, _at(number))
        return _at(self._numbers[file])


_FILES = "x-files"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def _at(number: str) -> str:
    return f"#/components/{_FILES}/{number}"


def _read(file: Path) -> object:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise _problem(f"cannot be read: there is no file {file.name!r} beside the test") from error
    except (OSError, ValueError) as error:
        raise _problem(f"cannot be read: {error}") from error
    document = read_yaml(text)
    refuse_too_large(document)
    return document


def _problem(message: str) -> InvalidError:
    return InvalidError([Problem(path="", message=message)])
