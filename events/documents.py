"""Files that a test names: AsyncAPI documents and experiments. Their content takes the place of the name."""

from pathlib import Path

import yaml

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
        document = yaml.safe_load((folder / named).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        message = f"cannot be read: {' '.join(str(error).split())}"
        raise InvalidError([Problem(path=f"{path}.{key}", message=message)]) from error
    return {**raw, key: document}
