"""How attempts end on a real node by what happens around them: images, deadlines, evictions."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from harness import api_server
from harness.api_server import Answer
from harness.backends import PATIENCE, ended, order, printed, up
from harness.beds.kubernetes import Bed

from cluster.backend import Backend, Fault, LaunchError, PlacementError, UnavailableError
from cluster.kubernetes import exec_stream, names, pod_paths
from cluster.kubernetes.backend import Disk, KubernetesBackend
from cluster.kubernetes.connection import Connection
from cluster.kubernetes.exec_stream import PodProgram
from model.config import ExecutionConfig, VolumeMount
from model.resources import ResourceRequirements

pytestmark = pytest.mark.cluster


@pytest.fixture
def backend(bed: Bed) -> Backend:
    return bed.open()


@pytest.mark.parametrize(
    ("answer", "fault", "words"),
    [
        (Answer(status=404, body={"errors": [{"code": "MANIFEST_UNKNOWN"}]}), Fault.IMAGE, "missing"),
        (Answer(status=403, body={"errors": [{"code": "DENIED"}]}), Fault.IMAGE, "may not be pulled"),
        (Answer(status=503, body={}), Fault.INFRASTRUCTURE, "did not answer"),
    ],
    ids=["no such image", "denied", "registry away"],
)
async def test_an_image_that_cannot_be_pulled_says_who_must_act(
    bed: Bed, backend: Backend, answer: Answer, fault: Fault, words: str
) -> None:
    with api_server.serving() as registry:
        registry.answers = [answer]
        image = f"{registry.url.removeprefix('http://')}/none:1"

        with pytest.raises(LaunchError, match=words) as refused:
            await backend.launch(replace(order(bed, "true"), image=image))

    assert refused.value.fault is fault, refused.value.detail
    assert image in refused.value.detail


async def test_a_registry_that_is_not_there_is_infrastructure(bed: Bed, backend: Backend) -> None:
    with pytest.raises(LaunchError, match="did not answer") as refused:
        await backend.launch(replace(order(bed, "true"), image="127.0.0.1:9/none:1"))

    assert refused.value.fault is Fault.INFRASTRUCTURE


async def test_an_image_without_python_is_for_who_named_it(bed: Bed, backend: Backend) -> None:
    if bed.access.image != "localhost/test-python:1":
        pytest.skip("needs the image localhost/busybox:1 in the cluster, as ../shared/cluster/up brings it")

    with pytest.raises(LaunchError, match="python3") as refused:
        await backend.launch(replace(order(bed, "true"), image="localhost/busybox:1"))

    assert refused.value.fault is Fault.CONFIG


@pytest.mark.parametrize(
    "volume", [{"config_map": "nope"}, {"secret": "nope"}, {"claim": "nope"}], ids=["config map", "secret", "claim"]
)
async def test_a_volume_whose_object_is_missing_is_for_who_named_it(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, volume: dict[str, str]
) -> None:
    monkeypatch.setattr("cluster.kubernetes.launching.MOUNT_SECONDS", 1.0)
    disk = Disk(runs=tmp_path / "runs", contents=bed.contents)
    backend = KubernetesBackend(bed.access, disk, timedelta(seconds=1))
    mount = VolumeMount(name="v", mount_path="/data", **volume)

    with pytest.raises(LaunchError, match='"nope" not found') as refused:
        await backend.launch(replace(order(bed, "true"), config=ExecutionConfig(volumes=(mount,))))

    assert refused.value.fault is Fault.CONFIG
    assert await backend.running() == []
    backend.close()


async def test_a_pod_that_is_too_large_for_its_node_is_given_up_with_the_reason(bed: Bed, tmp_path: Path) -> None:
    disk = Disk(runs=tmp_path / "runs", contents=bed.contents)
    backend = KubernetesBackend(bed.access, disk, timedelta(seconds=1))
    huge = replace(order(bed, "true"), resources=ResourceRequirements(cpu_request="1000"))

    with pytest.raises(PlacementError, match="Insufficient cpu") as refused:
        await backend.launch(huge)

    assert refused.value.nodes == {bed.at}
    assert await backend.running() == []
    backend.close()


async def test_a_keeper_that_ended_early_is_told_in_the_log(bed: Bed, backend: Backend) -> None:
    """So nobody takes the empty log and the missing files for all that there was."""
    wanted = order(bed, "echo up; while ! test -e /tmp/go; do sleep 0.05; done")
    await up(backend, wanted)
    connection = Connection(bed.access)
    path = f"/api/v1/namespaces/{bed.access.namespace}/pods/{names.pod_name(wanted.attempt)}"
    for container, program in ((pod_paths.KEEPER, pod_paths.STOP), (pod_paths.TEST, "open('/tmp/go', 'w')")):
        with suppress(UnavailableError):
            command = pod_paths.python(program)
            exec_stream.run(connection, PodProgram(path=path, container=container, command=command))
    connection.close()

    end = await ended(backend, wanted.attempt)
    async with asyncio.timeout(PATIENCE):
        while "the results are missing" not in await printed(backend, wanted.attempt):
            assert await backend.wait(wanted.attempt, 0.05)

    assert end.exit_code == 0
    assert (await printed(backend, wanted.attempt)).count("missing") == 1


async def test_a_name_that_is_kept_from_an_attempt_is_given_back_after_an_hour(
    bed: Bed, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = order(bed, "true")
    await backend.end(wanted.attempt)
    early = await backend.kept()
    await backend.forget(wanted.attempt)
    with pytest.raises(LaunchError, match="given up"):
        await backend.launch(wanted)

    monkeypatch.setattr("cluster.kubernetes.cluster_pods.NAME_SECONDS", 0.0)
    late = await backend.kept()
    await backend.forget(wanted.attempt)

    assert (early, late, await backend.kept()) == ([], [wanted.attempt], [])
