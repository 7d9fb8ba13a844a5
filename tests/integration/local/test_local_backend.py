"""What only the backend of this machine has: errors of the machine, and records that a test may have forged."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.backends import FOREVER, ended, order, up
from harness.beds.local import Bed

from cluster.backend import Fault, LaunchError, LaunchOrder, UnavailableError
from cluster.local import processes
from model.ending import How


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    made = Bed(tmp_path)
    yield made
    made.close()


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_descriptors_waiting_may_be_tried_again(bed: Bed) -> None:
    backend, wanted = bed.open(), order(bed, FOREVER)
    await up(backend, wanted)

    with no_descriptors_left(), pytest.raises(UnavailableError, match="Too many open files"):
        await backend.wait(wanted.attempt)
    await backend.end(wanted.attempt)

    assert await backend.wait(wanted.attempt)


async def test_a_state_folder_that_takes_nothing_is_for_the_operator(bed: Bed) -> None:
    backend, wanted = bed.open(), order(bed, FOREVER)
    (bed.state / "runs").write_text("no folder")

    with pytest.raises(LaunchError, match="this machine could not start it") as refused:
        await backend.launch(wanted)
    with pytest.raises(UnavailableError):
        await backend.end(wanted.attempt)

    assert refused.value.fault is Fault.INFRASTRUCTURE
    (bed.state / "runs").unlink()
    await backend.end(wanted.attempt)


@pytest.mark.parametrize("changed", [{"reason": "splendid"}, {"started_at": 1e300}, {"ended_at": "soon"}])
async def test_an_exit_record_that_no_shim_wrote_is_not_believed(bed: Bed, changed: dict[str, object]) -> None:
    backend, wanted = bed.open(), order(bed, "true")
    await backend.launch(wanted)
    honest = await ended(backend, wanted.attempt)
    file = folder(bed, wanted) / "exit.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))

    ending = await backend.ending(wanted.attempt)

    assert honest.how is How.EXITED
    assert ending is not None
    assert ending.how is How.LOST


async def test_a_record_that_a_running_test_forged_deceives_nobody_who_launched_it(bed: Bed) -> None:
    """The process that was seen at the launch counts, not what the run folder says later."""
    backend, stranger = bed.open(), order(bed, FOREVER)
    await up(backend, stranger)
    theirs = folder(bed, stranger) / "start.json"
    forging = order(bed, f"cp {theirs} ../start.json; {FOREVER}")
    await up(backend, forging)
    forged, real = processes.adopt(folder(bed, forging)), processes.adopt(folder(bed, stranger))

    await backend.stop(forging.attempt)
    ending = await ended(backend, forging.attempt)

    assert forged is not None
    assert real is not None
    assert forged.pid == real.pid
    assert ending.how is How.STOPPED
    assert bed.living(stranger.attempt)


def folder(bed: Bed, wanted: LaunchOrder) -> Path:
    return bed.state / "runs" / str(wanted.attempt.execution_id) / "1"
