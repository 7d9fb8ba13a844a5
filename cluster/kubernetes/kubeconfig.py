"""Opens the official client by a kubeconfig, or by the service account of the pod. It blocks: call it from a thread.

The client itself takes a plugin that fails for a user without credentials, and waits for ever for one that does not
end. Here both are errors that name the plugin.
"""

import threading
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import yaml
from kubernetes import config
from kubernetes.client import ApiClient, Configuration

from cluster.backend import UnavailableError
from model.lenient import at, items, mapping, text

CONNECTIONS = 32
OPEN_SECONDS = 10.0
"""How long a caller waits for a plugin. The plugin goes on: the next caller waits for the same one."""


class ClientOpener:
    """Opens one client at a time, however many threads ask for it; the caller sees to that by its lock."""

    def __init__(self, kubeconfig: Path | None, context: str | None) -> None:
        self._open = partial(open_client, kubeconfig, context)
        self._source = source_of(kubeconfig)
        self._opening: Future[ApiClient] | None = None

    def client(self) -> ApiClient:
        """Return a new client. Raises: UnavailableError."""
        if self._opening is None:
            self._opening = Future()
            threading.Thread(target=self._fill, args=[self._opening], name="assay-kubeconfig", daemon=True).start()
        opening = self._opening
        try:
            return opening.result(OPEN_SECONDS)
        except TimeoutError as slow:
            words = "its exec plugin does not end, as if it asked a person something; try it with kubectl"
            raise UnavailableError(f"{self._source} cannot be used: {words}") from slow
        finally:
            if opening.done():
                self._opening = None

    def _fill(self, opening: "Future[ApiClient]") -> None:
        try:
            opening.set_result(self._open())
        except BaseException as failed:  # noqa: BLE001  whoever waits gets it
            opening.set_exception(failed)


def source_of(kubeconfig: Path | None) -> str:
    """Return what the credentials come from, in words."""
    return str(kubeconfig) if kubeconfig else "the pod's own service account"


def open_client(kubeconfig: Path | None, context: str | None) -> ApiClient:
    """Read the configuration. Raises: UnavailableError: an operator may mend the file while the worker runs."""
    configuration = Configuration()
    try:
        if kubeconfig is None:
            config.load_incluster_config(client_configuration=configuration)
        else:
            _complain(kubeconfig, context)
            config.load_kube_config(str(kubeconfig), context, configuration, persist_config=False)
            _complain_of_plugin(kubeconfig, context, configuration)
    except (config.ConfigException, OSError, ValueError, yaml.YAMLError) as wrong:
        raise UnavailableError(f"{source_of(kubeconfig)} cannot be used: {wrong}") from wrong
    except (TypeError, KeyError, AttributeError) as wrong:
        raise UnavailableError(f"{source_of(kubeconfig)} is no kubeconfig: {wrong}") from wrong
    configuration.retries = False  # ours know which requests may be repeated
    configuration.connection_pool_maxsize = CONNECTIONS
    return ApiClient(configuration)


def _complain(kubeconfig: Path, context: str | None) -> None:
    """Refuse what the client would take for a user without credentials. Raises: ValueError, OSError, YAMLError."""
    name = _user_name(yaml.safe_load(kubeconfig.read_text()), context)
    if name and _user(kubeconfig, context) is None:
        raise ValueError(f"its context names the user {name!r}, which is not in it")


def _complain_of_plugin(kubeconfig: Path, context: str | None, got: Configuration) -> None:
    """Refuse what a plugin that failed has left. Raises: ValueError, OSError, YAMLError."""
    plugin = text(at(_user(kubeconfig, context), ("exec", "command")))
    if plugin and not got.api_key and not got.cert_file:
        raise ValueError(f"its exec plugin {plugin!r} is missing, or gave no credentials; try it with kubectl")


def _user(kubeconfig: Path, context: str | None) -> dict[str, object] | None:
    """Return the user of the context, None if there is no such user."""
    raw = yaml.safe_load(kubeconfig.read_text())
    name = _user_name(raw, context)
    named = (mapping(entry) for entry in items(mapping(raw).get("users")))
    return next((mapping(entry.get("user")) for entry in named if text(entry.get("name")) == name), None)


def _user_name(raw: object, context: str | None) -> str:
    chosen = context or text(mapping(raw).get("current-context"))
    named = (mapping(entry) for entry in items(mapping(raw).get("contexts")))
    return next((text(at(entry, ("context", "user"))) for entry in named if text(entry.get("name")) == chosen), "")
