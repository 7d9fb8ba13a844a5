"""Read and write YAML, for the files of definitions and suites. JSON is YAML too."""

import re
from collections.abc import Callable, Hashable
from typing import TypeVar

import yaml

from model.problems import InvalidError, Problem

LONGEST = 8 * 2**20
MOST_VALUES = 1_000_000
"""A file of 500 characters can stand for billions of values, by aliases of aliases."""
_FOREIGN_BREAKS = re.compile("[\x85\u2028\u2029\ufeff]")
_Value = TypeVar("_Value")
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """Loads the types that YAML itself has. Dates stay text, as in JSON, and a duplicate key is an error."""

    yaml_implicit_resolvers = {  # noqa: RUF012  PyYAML reads this class attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:  # noqa: FBT001, FBT002  the signature of PyYAML
        """Build one mapping. Raises: ConstructorError for a duplicate key."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in seen:
                    message = f"the key {key.value!r} appears twice"
                    raise yaml.constructor.ConstructorError(None, None, message, key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def read_yaml(text: str) -> object:
    """Return the value of one YAML document. Raises: InvalidError with the line of the error."""
    return _read(text, lambda: yaml.load(text, Loader=_Loader))  # noqa: S506  a SafeLoader


def read_yaml_documents(text: str) -> list[object]:
    """Return the values of all YAML documents of a file, without empty ones. Raises: as `read_yaml`."""
    return _read(text, lambda: [value for value in yaml.load_all(text, Loader=_Loader) if value is not None])


def _read(text: str, load: Callable[[], _Value]) -> _Value:
    if len(text) > LONGEST:
        raise InvalidError([Problem(path="", message=f"is longer than {LONGEST // 2**20} MiB")])
    try:
        return load()
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        message = f"is not valid YAML{line}: {error.problem or error.context}"
    except (yaml.YAMLError, ValueError) as error:
        message = f"is not valid YAML: {str(error).splitlines()[0]}"
    except RecursionError:
        message = "is nested too deeply"
    raise InvalidError([Problem(path="", message=message)])


def refuse_too_large(value: object) -> None:
    """Raise: InvalidError if a value has too many values inside, those behind an alias each time that it is used."""
    ahead = [value]
    for _ in range(MOST_VALUES):
        if not ahead:
            return
        one = ahead.pop()
        ahead += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    message = f"is too large: it has more than {MOST_VALUES:,} values with its aliases"
    raise InvalidError([Problem(path="", message=message)])


class _Dumper(yaml.SafeDumper):
    """Writes text so that the loader reads the same text back.

    PyYAML writes the line breaks of Unicode as they are, and reads them as blanks.
    """

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Quote text that has such a line break, which escapes it."""
        style = '"' if _FOREIGN_BREAKS.search(data) else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


def write_yaml(value: object) -> str:
    """Return `value` as YAML. The keys keep their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
