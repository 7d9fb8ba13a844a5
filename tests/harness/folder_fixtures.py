"""Fixtures that the tests of one folder share. They end with its last test: no server idles beside the others."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

_VALUES = pytest.StashKey[dict[str, Any]]()


def of_folder(request: pytest.FixtureRequest, make: Callable[[], AbstractContextManager[T]]) -> T:
    """Return what `make` gave the first test of a folder that asked. The fixture has the scope "module".

    The scope "package" would do the same, but only in a package, and a package here would hide ours of the same name.
    """
    folder = request.node.getparent(pytest.Dir)
    values = folder.stash.setdefault(_VALUES, {})
    name = request.fixturename
    if name not in values:
        entered = ExitStack()
        values[name] = entered.enter_context(make())
        entered.callback(values.pop, name)
        folder.addfinalizer(entered.close)
    value: T = values[name]
    return value
