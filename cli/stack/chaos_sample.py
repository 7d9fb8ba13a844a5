"""Shows one chaos experiment on the shop after the samples: payments is killed once, and orders tries again.

The services of the shop run only as long as the experiment, unless somebody has started them before.
"""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.client import Client
from cli.failure import CommandError
from cli.server_discovery import Server
from cli.stack.state import PROJECT, StateFolder
from cluster.fault_providers import ENVIRONMENTS
from cluster.services.client import NoEnvironmentError, look
from cluster.services.file import read_services
from cluster.services.starting import StartError, start, stop
from model.document import read_yaml
from model.lenient import mapping

SERVICES = PROJECT / "examples" / "shop" / "services.yaml"
EXPERIMENT = PROJECT / "examples" / "chaos" / "payments-killed.yaml"
SHORT = {"durationSeconds": 10, "baselineSeconds": 10, "recoverySeconds": 10}
"""Windows that are long enough to be seen."""
LOOK_SECONDS = 1.0
ENVIRONMENT = "shop"


def show_experiment(folder: StateFolder, url: str, stopping: threading.Event, say: Callable[[str], None]) -> None:
    """Run the experiment, and say how it ended. What goes wrong is said, and ends nothing else."""
    home = folder.path / ENVIRONMENTS / ENVIRONMENT
    mine = not _runs(home)
    try:
        if mine:
            asyncio.run(start(read_services(SERVICES), SERVICES, home))
        _run(folder, url, stopping, say)
    except (StartError, CommandError, OSError, ValueError) as error:
        if not stopping.is_set():
            say(f"the sample experiment could not be run: {error}")
    finally:
        if mine:
            asyncio.run(stop(home))


def _runs(home: Path) -> bool:
    try:
        asyncio.run(look(home))
    except (NoEnvironmentError, ValueError):
        return False
    return True


def _run(folder: StateFolder, url: str, stopping: threading.Event, say: Callable[[str], None]) -> None:
    raw = mapping(read_yaml(EXPERIMENT.read_text(encoding="utf-8"))) | SHORT
    with Client(Server(url=url, key=folder.api_key())) as client:
        made = client.post("/chaos/experiments", raw)
        execution = client.post(f"/chaos/experiments/{made['experimentId']}/run")
        file = EXPERIMENT.relative_to(PROJECT)
        say(f"experiment {execution['shortId']}: {execution['name']} ({file}), half a minute")
        ended = _watch(client, execution["executionId"], stopping)
    if ended is not None:
        held = {True: "the hypothesis held", False: "the hypothesis did not hold", None: "nothing is known"}
        word = held[ended["hypothesisValidated"]]
        say(f"experiment {ended['shortId']}: {ended['status']}, {word}; assay chaos report {ended['shortId']}")


def _watch(client: Client, execution: str, stopping: threading.Event) -> Any:
    """Return the execution when it has ended, None if the stack ends first."""
    while not stopping.wait(LOOK_SECONDS):
        answer = client.get(f"/chaos/executions/{execution}")
        if answer["completedAt"]:
            return answer
    return None
