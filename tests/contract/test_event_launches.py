"""An event test under each backend: in an environment of its own, with the framework that Assay brings along."""

import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from harness.backends import Bed, order, run
from harness.beds import kubernetes

from cluster.backend import Backend
from events.endings import JUNIT, PAGE, RECORDING
from executors.event_tool import BASE
from executors.registry import tool_for
from model.content import ArtifactContent
from model.execution import Reason
from model.request import Setup, TestRequest, TestType
from model.result import Outcome
from model.verdict import judge

TEST = b"""
name: order
topics: [orders]
trigger: {produce: {topic: orders, payload: {type: OrderCreated, id: o-1}}}
scope: {path: id, fromTrigger: payload.id}
assertions:
  - {expect: OrderCreated, name: created}
  - {never: OrderCreated, name: not created}
"""
PYTHON = "3.11"
"""The Python of the image for tests in a cluster."""


def wheels(folder: Path) -> dict[str, bytes]:
    """Return the wheels of the framework, and a requirements file for them: pods of the cluster reach no index."""
    pip = [getattr(sys, "_base_executable", sys.executable), "-m", "pip", "download", "--quiet"]
    only = ["--only-binary=:all:", f"--python-version={PYTHON}", "--require-hashes"]
    subprocess.run([*pip, *only, "-r", str(BASE), "-d", str(folder)], check=True)
    files = {f"events/wheels/{path.name}": path.read_bytes() for path in folder.iterdir()}
    names = "\n".join(f"wheels/{Path(name).name}" for name in files)
    return files | {"events/requirements.txt": f"--no-index\n{names}\n".encode()}


def sent(bed: Bed, files: dict[str, bytes]) -> str:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    incoming = bed.contents.receive(digest)
    incoming.write(buffer.getvalue())
    incoming.keep()
    return digest


@pytest.mark.timeout(300)
async def test_each_assertion_is_a_result_and_a_failed_run_leaves_its_events(
    bed: Bed, backend: Backend, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The broker is the mock cluster, inside of the process or the pod."""
    in_pod = isinstance(bed, kubernetes.Bed)
    more = wheels(tmp_path_factory.mktemp("wheels")) if in_pod else {}
    content = ArtifactContent(sha256=sent(bed, {"events/order.yaml": TEST, **more}), path="events/order.yaml")
    setup = Setup(requirements="events/requirements.txt") if in_pod else Setup()
    request = TestRequest(name="order", type=TestType.EVENT, content=content, setup=setup)
    tool = tool_for(TestType.EVENT)
    wanted = order(bed, "", content=content, command=tool.command(request), python=tool.python(request))

    ending = await run(backend, wanted)

    results = (await backend.spool(wanted.attempt)).results
    report = tool.read(request, results)
    verdict = judge(report, ending, tool.verdict)
    assert {result.name: result.outcome for result in report.results} == {
        "order::created": Outcome.PASSED,
        "order::not created": Outcome.FAILED,
    }, ending
    assert (verdict.reason, verdict.detail) == (Reason.TESTS_FAILED, "1 of 2 failed, first order::not created")
    assert {path.name for path in results.iterdir()} >= {JUNIT, PAGE, RECORDING}
