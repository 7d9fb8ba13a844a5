"""Files that a test names: AsyncAPI documents and experiments. Their content takes the place of the name."""

from pathlib import Path

from model.document import read_yaml
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
        text = (folder / named).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        message = f"cannot be read: there is no file {named!r} beside the test"
        raise InvalidError([Problem(path=f"{path}.{key}", message=message)]) from error
    except (OSError, ValueError) as error:
        raise InvalidError([Problem(path=f"{path}.{key}", message=f"cannot be read: {error}")]) from error
    try:
        document = read_yaml(text)
    except InvalidError as error:
        raise error.under(f"{path}.{key}") from error
    return {**raw, key: document}
