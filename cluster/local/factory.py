"""Opens the backend of this machine."""

from cluster.backend import Backend
from cluster.backend_factory import BackendSettings
from cluster.local.backend import LocalBackend
from cluster.local.identity import backend_name, node_name
from cluster.local.preparation import Machine


def open_backend(settings: BackendSettings) -> Backend:
    """Return the backend of this machine, under the name of the node that the state folder is."""
    machine = Machine(
        state=settings.state.absolute(),
        cpu_share=settings.cpu_share,
        cgroup=settings.cgroup,
        allowed_hosts=settings.allowed_hosts,
        git_ca_file=settings.git_ca_file,
    )
    return LocalBackend(backend_name(node_name(machine.state)), machine, settings.contents)
