"""YAML in and out: the one reader of definition and suite files. JSON is YAML too."""

import re
from collections.abc import Hashable
from typing import Any

import yaml

from model.problems import InvalidError, Problem

LONGEST = 8 * 2**20
_FOREIGN_BREAKS = re.compile("[\x85\u2028\u2029\ufeff]")
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """YAML's own types only. Dates stay text, as in JSON; a key that stands twice is an error, not a silent loss."""

    yaml_implicit_resolvers = {  # noqa: RUF012  PyYAML's own form
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002  PyYAML's form
        """Build one mapping. Raises: ConstructorError for a key that stands twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in seen:
                    message = f"the key {key.value!r} stands twice"
                    raise yaml.constructor.ConstructorError(None, None, message, key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def read_yaml(text: str) -> object:
    """Return what one YAML document says. Raises: InvalidError with the line where it is none."""
    if len(text) > LONGEST:
        raise InvalidError([Problem(path="", message=f"is longer than {LONGEST // 2**20} MiB")])
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        message = f"is no valid YAML{line}: {error.problem or error.context}"
    except (yaml.YAMLError, ValueError) as error:
        message = f"is no valid YAML: {str(error).splitlines()[0]}"
    except RecursionError:
        message = "is nested too deeply"
    raise InvalidError([Problem(path="", message=message)])


class _Dumper(yaml.SafeDumper):
    """Writes what the loader reads back: PyYAML leaves foreign line breaks plain, and then reads them as blanks."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Quote text that holds such a line break; there it is escaped."""
        style = '"' if _FOREIGN_BREAKS.search(data) else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


def write_yaml(value: object) -> str:
    """Return `value` as YAML, keys in the order they have."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
