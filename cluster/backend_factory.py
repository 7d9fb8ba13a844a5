"""Opens a backend by its name: the name of the package of `cluster` that implements it.

Such a package has a module `factory` with a function `open_backend`. So a new backend is one package, and no other code
names it: the setting `ASSAY_BACKEND` chooses it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import TypeAlias, cast

import cluster
from cluster.backend import Backend
from model.pod_policy import NOTHING_ALLOWED, PodPolicy
from model.ports import Contents
from model.resources import DEFAULT_GPU

FACTORY = "factory"
CLUSTERS = "cluster.kubernetes.backend"
"""Imported only where a cluster is served, since the client of Kubernetes costs 15 MB of memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSettings:
    """What a worker gives to the backend that it opens.

    `state` is the worker's state folder, and `contents` the packed content that was sent. `cpu_share` is the part of
    this machine that tests may use, `cgroup` a delegated folder of the kernel's control groups, `allowed_hosts` the
    private hosts that git content may come from, `git_ca_file` has the certificate authorities of such hosts.
    `place_within` is how long a cluster may leave a pod unbound. A backend ignores what it has no use for.
    """

    state: Path
    contents: Contents
    cpu_share: float = 1.0
    cgroup: Path | None = None
    allowed_hosts: frozenset[str] = frozenset()
    git_ca_file: Path | None = None
    place_within: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """How to reach a Kubernetes cluster, and what to use of it.

    `kubeconfig` is a reference, `file:/path`; None if the worker runs in the cluster. `image` is what a pod runs in if
    the request names no image. `gpu` is the name of the resource that a GPU is. With `network_required` no test starts
    before the cluster was seen to enforce network policies.
    """

    name: str
    namespace: str
    image: str
    kubeconfig: str | None = None
    context: str | None = None
    gpu: str = DEFAULT_GPU
    policy: PodPolicy = NOTHING_ALLOWED
    network_required: bool = False


OpenCluster: TypeAlias = Callable[[ClusterSettings, BackendSettings], Backend]
OpenBackend: TypeAlias = Callable[[BackendSettings], Backend]


class UnknownBackendError(ValueError):
    """No package of `cluster` implements a backend of this name. The operator corrects `ASSAY_BACKEND`."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no backend {name!r}; known are {', '.join(known())}")
        self.name = name


def known() -> list[str]:
    """Return the names of all backends, in order."""
    packages = (module.name for module in iter_modules(cluster.__path__) if module.ispkg)
    return sorted(name for name in packages if find_spec(f"cluster.{name}.{FACTORY}") is not None)


def open_backend(name: str, settings: BackendSettings) -> Backend:
    """Open the backend of this name. Raises: UnknownBackendError."""
    if name not in known():
        raise UnknownBackendError(name)
    factory = cast("OpenBackend", import_module(f"cluster.{name}.{FACTORY}").open_backend)
    return factory(settings)


def open_cluster(wanted: ClusterSettings, settings: BackendSettings) -> Backend:
    """Open the backend of a Kubernetes cluster. It connects at the first call."""
    opened = cast("OpenCluster", import_module(CLUSTERS).KubernetesBackend.opened)
    return opened(wanted, settings)
