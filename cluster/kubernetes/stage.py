"""What a pod gets before its test starts: content, the tool's file, our programs, and the spec of the shim.

The worker fetches the content itself, by the same code as for local runs, and sends it: a pod needs neither a network
nor a credential for its content. All of it blocks.
"""

import gzip
import io
import json
import os
import tarfile
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.backend import Fault, LaunchError, LaunchOrder
from cluster.kubernetes import install, keeper, pod, results, shim
from cluster.kubernetes.pod_paths import CHOSEN, HOME, RESULTS
from cluster.local import cgroup, content, log_writer, proc, processes, start_errors
from cluster.local import shim as local_shim
from cluster.local.command import OWN_PACKAGES, RunFolders, arguments, working_folder
from cluster.local.content import Sources
from cluster.local.environment import Surroundings, environment
from cluster.local.unreachable import HostAwayError
from model.content import entry_paths

WORK = Path(CHOSEN) / "work"
SUPPORT = Path(CHOSEN) / "support"
PACKAGES = Path(CHOSEN) / "packages"
PYTHON = Path(CHOSEN) / "venv" / "bin" / "python"
_PROGRAMS = {
    "cluster/local/shim.py": local_shim,
    "cluster/local/proc.py": proc,
    "cluster/local/cgroup.py": cgroup,
    "cluster/local/log_writer.py": log_writer,
    "cluster/local/start_errors.py": start_errors,
    "cluster/kubernetes/shim.py": shim,
    "cluster/kubernetes/results.py": results,
    "cluster/kubernetes/keeper.py": keeper,
    "cluster/kubernetes/install.py": install,
}
_PACKAGES = ("cluster", "cluster/local", "cluster/kubernetes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Content that was fetched. `requirements` is a file inside of it; `commit` is set for git."""

    requirements: str | None = None
    commit: str | None = None


def fetch(order: LaunchOrder, folder: Path, sources: Sources) -> Fetched:
    """Put the content into `folder`/work. Raises: LaunchError, StoppedError."""
    work = folder / "work"
    wanted = order.python.requirements if order.python else None
    try:
        commit = content.place(order.content, work, sources).commit
        requirements = str(content.entry(work, wanted).relative_to(work)) if wanted else None
    except content.ContentError as wrong:
        raise LaunchError(Fault.CONTENT, str(wrong)) from wrong
    except HostAwayError as away:
        raise LaunchError(Fault.INFRASTRUCTURE, str(away)) from away
    return Fetched(requirements=requirements, commit=commit)


def pack(order: LaunchOrder, folder: Path) -> Path:
    """Pack all that the pod needs into a new file, and return it. The caller removes it."""
    descriptor, target = tempfile.mkstemp(prefix="stage.", dir=folder)  # several may launch the attempt at once
    with (
        os.fdopen(descriptor, "wb") as file,
        gzip.open(file, "wb", compresslevel=1) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        archive.add(folder / "work", "work")
        for package in _PACKAGES:
            _add(archive, f"lib/{package}/__init__.py", b"")
        for place, module in _PROGRAMS.items():
            archive.add(str(module.__file__), f"lib/{place}")
        if order.command.support:
            archive.add(order.command.support, f"support/{order.command.support.name}")
        for package in order.command.packages:
            archive.add(OWN_PACKAGES / package, f"packages/{package}", filter=_without_caches)
        if order.python:
            archive.add(order.python.base, "support/base.txt")
        _add(archive, "spec.json", json.dumps(spec_of(order, folder / "work")).encode())
    return Path(target)


def spec_of(order: LaunchOrder, work: Path) -> dict[str, object]:
    """Return the spec of the shim, in terms of the pod's paths. `work` is where the content is on this machine.

    Variables with secrets are named only: their values come to the pod in its Secret.
    """
    first = entry_paths(order.content)[0]
    folders = RunFolders(
        work=WORK,
        entry=WORK / first,
        results=RESULTS,
        home=HOME,
        python=PYTHON if order.python else None,
        packages=PACKAGES,
    )
    command = order.command
    if command.support:
        command = replace(command, support=SUPPORT / command.support.name)
    here = working_folder(command, replace(folders, work=work, entry=work / first))
    secret = pod.secret_variables(order)
    plain = {name: text for name, text in order.env.items() if name not in secret}
    around = Surroundings(
        execution_id=order.attempt.execution_id,
        attempt=order.attempt.number,
        home=HOME,
        results=RESULTS,
        python=folders.python,
    )
    return {
        "execution_id": str(order.attempt.execution_id),
        "attempt": order.attempt.number,
        "argv": list(arguments(command, folders)),
        "cwd": str(WORK / here.relative_to(work)),
        "env": environment(around, order.command.env, plain),
        "secret_env": secret,
        "time_limit_seconds": order.config.timeout,
        "grace_seconds": pod.GRACE_SECONDS,
        "own_interpreter": not isinstance(order.command.argv[0], str),
        "log_limit_bytes": processes.log_left(order.log_bytes),
        "line_limit_bytes": processes.LINE_LIMIT,
    }


def _without_caches(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if member.name.endswith("__pycache__") else member


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))
