"""The file of local services: its order, and all its problems at once."""

from pathlib import Path
from typing import Any

import pytest

from cluster.services.file import check_services
from model.problems import InvalidError


def service(name: str, **change: Any) -> dict[str, Any]:
    return {"name": name, "command": ["serve", "--port", "${port}"], "port": 8000 + len(name), **change}


def problems(raw: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidError) as refused:
        check_services(raw, Path("/nowhere"))
    return [(problem.path, problem.message) for problem in refused.value.problems]


def test_each_service_comes_after_those_that_it_depends_on() -> None:
    raw = {"name": "shop", "services": [service("orders", dependsOn=["pay"]), service("pay"), service("x")]}

    assert [one.name for one in check_services(raw, Path("/nowhere")).services] == ["pay", "orders", "x"]


def test_chaos_is_refused_unless_it_is_allowed() -> None:
    raw = {"name": "shop", "services": [service("a"), service("bc", chaos="allowed")]}

    assert [one.chaos for one in check_services(raw, Path("/nowhere")).services] == ["refused", "allowed"]


@pytest.mark.parametrize(
    ("services", "wanted"),
    [
        ([], [("services", "must not be empty")]),
        ([service("a"), service("a")], [
            ("services[1].name", "is that of services[0] too"),
            ("services[1].port", "is that of services[0] too"),
        ]),
        ([service("a", dependsOn=["b"])], [
            ("services[0].dependsOn[0]", "'b' is no service of this file"),
        ]),
        ([service("a", dependsOn=["bc"]), service("bc", dependsOn=["a"])], [
            ("services", "depend on each other in a circle: a, bc"),
        ]),
        ([service("a", command=["serve"])], [
            ("services[0].command", "must tell the service its port: write ${port} where it takes it, here or in env"),
        ]),
        ([service("a", port=None)], [("services[0].port", "is required, since ${port} is used")]),
        ([service("a", port=80)], [("services[0].port", "must be 1024 or more")]),
        ([service("a", helth={})], [("services[0].helth", "is an unknown key; did you mean 'health'?")]),
        ([service("a", chaos="yes")], [("services[0].chaos", "must be one of allowed, refused")]),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_all_problems(services: list[Any], wanted: list[tuple[str, str]]) -> None:
    assert problems({"name": "shop", "services": services}) == wanted
