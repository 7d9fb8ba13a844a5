"""Wrong requests and wrong suites, the same for every door: the YAML files of `tests/data`.

`change` of a case is merged into the file's `valid` (null removes a key). What would fill pages is written short there:
`{$text: x, times: 3}` is xxx, `{$list: x, times: 3}` is [x, x, x], `{$keys: x, times: 3}` is {k0: x, k1: x, k2: x};
`$numbered` is a list with names of their own, `$key` an object with one long key, `{$code: 65}` is A, for what no
YAML file may hold.
"""

from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).resolve().parents[1] / "data"
DOORS = ("model", "rest", "command", "prefect")
LONG = {
    "$text": lambda what, times: what * times,
    "$code": lambda what, times: chr(what) * times,
    "$key": lambda what, times: {what * times: "a"},
    "$list": lambda what, times: [what] * times,
    "$numbered": lambda what, times: [{**what, "name": f"{what['name']}-{number}"} for number in range(times)],
    "$keys": lambda what, times: {f"k{number}": what for number in range(times)},
}


class Cases:
    """The cases of some files; `valid` stands in the first."""

    def __init__(self, *names: str) -> None:
        parts = [yaml.load((DATA / name).read_text(), yaml.CSafeLoader) for name in names]
        self.valid: dict[str, Any] = parts[0]["valid"]
        self.cases: list[dict[str, Any]] = [case for part in parts for case in part["cases"]]

    def wrong(self, case: dict[str, Any]) -> Any:
        """Return what a case sends."""
        return merged(self.valid, written_out(case["change"]))

    def by(self, door: str) -> list[dict[str, Any]]:
        """Return the cases that come as far as us by a door: `doors` of a case lists them where not all do."""
        assert all(set(case.get("doors", DOORS)) <= set(DOORS) for case in self.cases)
        return [case for case in self.cases if door in case.get("doors", DOORS)]


def written_out(value: Any) -> Any:
    """Return `value` with what is written short in it at its full length."""
    if isinstance(value, list):
        return [written_out(item) for item in value]
    if not isinstance(value, dict):
        return value
    for sign, write in LONG.items():
        if sign in value:
            return write(written_out(value[sign]), value.get("times", 1))
    return {key: written_out(item) for key, item in value.items()}


def merged(base: Any, change: Any) -> Any:
    """Merge `change` into `base`; None removes (RFC 7396)."""
    if not isinstance(change, dict):
        return change
    result = dict(base) if isinstance(base, dict) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


REQUESTS = Cases("bad_requests.yaml", "bad_bounds.yaml", "bad_pods.yaml")
SUITES = Cases("bad_suites.yaml")
