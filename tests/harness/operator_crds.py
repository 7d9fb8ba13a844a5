"""The CRDs of Litmus and Chaos Mesh in the cluster of the tests: names and constraints of the real ones."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from cluster.kubernetes.connection import ApiError, Connection

FOLDER = Path(__file__).resolve().parents[1] / "data" / "crds"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PATIENCE = 30.0


@contextmanager
def installed(connection: Connection, *operators: str) -> Iterator[None]:
    """Have the CRDs of these operators. Those that were there before stay; of the others none is left."""
    documents = [one for name in operators for one in yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text())]
    made = [one for one in documents if connection.create(CRDS, one) is not None]
    try:
        for one in documents:
            _until_served(connection, one)
        yield
    finally:
        for one in made:
            connection.delete(_path(one), grace=0)
        for one in made:
            _until_gone(connection, one)


def _path(crd: dict) -> str:  # type: ignore[type-arg]
    return f"{CRDS}/{crd['metadata']['name']}"


def _until_gone(connection: Connection, crd: dict) -> None:  # type: ignore[type-arg]
    """Wait until the finalizer of a deleted CRD has removed its objects, and nothing of it is served."""
    until = time.monotonic() + PATIENCE
    while connection.find(_path(crd)) is not None or _is_served(connection, crd):
        assert time.monotonic() < until, f"{_path(crd)} is still there"
        time.sleep(0.1)  # the API server tells nobody when it serves a group no more


def _until_served(connection: Connection, crd: dict) -> None:  # type: ignore[type-arg]
    until = time.monotonic() + PATIENCE
    while not _is_served(connection, crd):
        assert time.monotonic() < until, f"{_path(crd)} is not served"
        time.sleep(0.1)  # nor when it serves a new one


def _is_served(connection: Connection, crd: dict) -> bool:  # type: ignore[type-arg]
    spec = crd["spec"]
    try:
        connection.get(f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}", ("limit", "1"))
    except ApiError:
        return False
    return True
