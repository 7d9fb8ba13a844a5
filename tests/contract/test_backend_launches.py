"""What every backend does with content, environments, secrets and output, and how a launch is called off."""

import asyncio
import hashlib
import io
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from harness.backends import FOREVER, PATIENCE, SECRET, Bed, order, printed, run, up

from cluster.backend import (
    LOG_LIMIT,
    Backend,
    CalledOffError,
    Fault,
    Launched,
    LaunchError,
)
from cluster.logs import LogStore
from model.command import Command, PythonEnvironment, Where
from model.content import ArtifactContent, GitContent, InlineContent, TestContent
from model.mask import Mask

# -- output, results, secrets -----------------------------------------------------------------------------------------


async def test_each_byte_of_the_output_is_brought_once(bed: Bed, tmp_path: Path) -> None:
    """The log port appends what is new in the spooled output; two workers may spool at the same time."""
    wanted = order(bed, 'i=0; while [ $i -lt 400 ]; do echo "line $i"; i=$((i+1)); [ $i -ne 200 ] || sleep 0.3; done')
    backends, logs = [bed.open(), bed.open()], LogStore(tmp_path / "logs")
    await backends[0].launch(wanted)

    over = False
    while not over:
        over = await backends[0].wait(wanted.attempt, 0.05)
        for backend in backends:
            spooled = await backend.spool(wanted.attempt)
            logs.append_from(spooled.output, wanted.attempt.execution_id, 1, final=over)

    assert logs.read(wanted.attempt.execution_id, 0, 10**6).decode().splitlines() == [f"line {n}" for n in range(400)]


async def test_the_log_has_one_limit_over_all_attempts(bed: Bed, backend: Backend) -> None:
    wanted = order(bed, "yes | head -c 100000", log_bytes=LOG_LIMIT)

    ending = await run(backend, wanted)

    assert ending.exit_code == 0
    assert len(await printed(backend, wanted.attempt)) < 2_000


async def test_secrets_reach_the_test_and_are_known_to_whoever_adopts_it(
    bed: Bed, backend: Backend, tmp_path: Path
) -> None:
    env = {"TOKEN": "${secrets.token}", "URL": "https://user:${secrets.token}@host"}
    wanted = order(bed, 'echo "$TOKEN $URL"; ' + FOREVER, env=env, secrets={"token": SECRET})
    launched = await up(backend, wanted)

    adopted = await bed.open().adopt(wanted.attempt, ["token"])
    unasked = await bed.open().adopt(wanted.attempt, ["another"])
    await backend.end(wanted.attempt)
    spooled, logs = await backend.spool(wanted.attempt), LogStore(tmp_path / "logs")
    assert adopted is not None
    logs.append_from(spooled.output, wanted.attempt.execution_id, 1, Mask(adopted.secrets), final=True)

    assert launched.secrets == adopted.secrets == {SECRET}
    assert unasked == Launched(attempt=wanted.attempt)
    assert spooled.output.read_text().startswith(f"{SECRET} https://user:{SECRET}@host\n")
    stars = "*" * len(SECRET)
    masked = logs.read(wanted.attempt.execution_id, 0, 1000).decode()
    assert masked.startswith(f"{stars} https://user:{stars}@host\nup\n")
    assert SECRET not in masked


async def test_an_order_and_what_was_launched_do_not_show_secrets(bed: Bed, backend: Backend) -> None:
    wanted = order(bed, "true", env={"TOKEN": "${secrets.token}"}, secrets={"token": SECRET})

    launched = await backend.launch(wanted)

    assert SECRET not in f"{wanted} {launched!r}"


async def test_what_is_forgotten_leaves_no_file_of_the_test_and_no_secret(bed: Bed, backend: Backend) -> None:
    script = 'echo "$TOKEN"; echo "$TOKEN" > "$ASSAY_RESULTS_DIR/it"; echo "$TOKEN" > here; mkdir -m 0 closed'
    wanted = order(bed, script, env={"TOKEN": "${secrets.token}"}, secrets={"token": SECRET})
    await run(backend, wanted)
    spooled = await backend.spool(wanted.attempt)
    before = bed.holds(SECRET)

    await backend.forget(wanted.attempt)
    await backend.forget(wanted.attempt)

    assert (before, bed.holds(SECRET)) == (True, False)
    assert (spooled.output.exists(), spooled.results.exists()) == (False, False)
    assert await backend.running() == []


async def test_what_a_running_attempt_uses_is_told(bed: Bed, backend: Backend) -> None:
    wanted = order(bed, FOREVER)
    await up(backend, wanted)

    async with asyncio.timeout(PATIENCE):
        while (usage := await backend.usage(wanted.attempt)) is None:
            await backend.wait(wanted.attempt, 0.05)

    assert usage.processes > 0
    assert 0 < usage.memory_bytes <= usage.peak_memory_bytes


# -- content, environment, tool ---------------------------------------------------------------------------------------


def packed(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def sent(bed: Bed, data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    incoming = bed.contents.receive(digest)
    incoming.write(data)
    incoming.keep()
    return digest


async def test_packed_content_runs_in_the_folder_that_its_path_names(bed: Bed, backend: Backend) -> None:
    digest = sent(bed, packed({"suite/run.sh": "cat other", "suite/other": "found\n"}))
    wanted = order(bed, "", content=ArtifactContent(sha256=digest, path="suite"))

    assert (await run(backend, wanted)).exit_code == 0
    assert await printed(backend, wanted.attempt) == "found\n"


async def test_a_command_gets_the_paths_of_its_attempt(bed: Bed, backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "tool.sh").write_text('echo "$(cat "$1/a/b") $(cat "$2") $(pwd -P | xargs basename)"')
    command = Command(argv=("sh", Where.SUPPORT, Where.WORK, Where.ENTRY), support=tmp_path / "tool.sh")
    content = InlineContent(files={"a/b": "inner", "c": "entry"}, path="c")
    wanted = order(bed, "", content=content, command=command)

    await run(backend, wanted)

    words = (await printed(backend, wanted.attempt)).split()
    assert words[:2] == ["inner", "entry"]


async def test_a_python_test_gets_an_environment_of_its_own(
    bed: Bed, backend: Backend, tmp_path: Path, no_network: None
) -> None:
    (tmp_path / "base.txt").write_text("")
    command = Command(argv=(Where.PYTHON, "-c", "import sys; print(sys.prefix != sys.base_prefix)"))
    wanted = order(bed, "", command=command, python=PythonEnvironment(base=tmp_path / "base.txt"))

    assert (await run(backend, wanted)).exit_code == 0
    assert await printed(backend, wanted.attempt) == "True\n"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installer has no index to ask: it is offline, and its cache is empty."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")


@pytest.mark.parametrize(
    "content",
    [
        ArtifactContent(sha256="0" * 64),
        InlineContent(files={"run.sh": "true"}, path="not-there"),
        InlineContent(files={"../out": "true"}),
        GitContent(repository="https://127.0.0.1/suite.git"),
        GitContent(repository="https://no-such-host.invalid/suite.git"),
    ],
    ids=["never sent", "no such path", "outside", "private address", "no such host"],
)
async def test_content_that_cannot_be_had_is_for_its_author(bed: Bed, backend: Backend, content: TestContent) -> None:
    wanted = order(bed, "", content=content)

    with pytest.raises(LaunchError) as refused:
        await backend.launch(wanted)

    assert refused.value.fault is Fault.CONTENT
    assert refused.value.detail
    assert await backend.adopt(wanted.attempt, ()) is None


async def test_packed_content_that_is_none_is_for_its_author(bed: Bed, backend: Backend) -> None:
    with pytest.raises(LaunchError) as refused:
        await backend.launch(order(bed, "", content=ArtifactContent(sha256=sent(bed, b"no archive"))))

    assert refused.value.fault is Fault.CONTENT


async def test_requirements_that_are_missing_are_a_fault_of_the_content(
    bed: Bed, backend: Backend, tmp_path: Path
) -> None:
    (tmp_path / "base.txt").write_text("")
    python = PythonEnvironment(base=tmp_path / "base.txt", requirements="requirements.txt")

    with pytest.raises(LaunchError) as refused:
        await backend.launch(order(bed, "true", python=python))

    assert refused.value.fault is Fault.CONTENT


async def test_requirements_that_cannot_be_installed_are_a_fault_of_the_request(
    bed: Bed, backend: Backend, tmp_path: Path, no_network: None
) -> None:
    (tmp_path / "base.txt").write_text("")
    python = PythonEnvironment(base=tmp_path / "base.txt", requirements="requirements.txt")
    content = InlineContent(files={"run.sh": "true", "requirements.txt": "--no-index\nno-such-library-at-all==1.2.3\n"})

    with pytest.raises(LaunchError, match="no-such-library-at-all") as refused:
        await backend.launch(order(bed, "", content=content, python=python))

    assert refused.value.fault is Fault.CONFIG


async def test_a_package_index_that_does_not_answer_is_infrastructure(
    bed: Bed, backend: Backend, tmp_path: Path
) -> None:
    (tmp_path / "base.txt").write_text("")
    python = PythonEnvironment(base=tmp_path / "base.txt", requirements="requirements.txt")
    nobody = "--index-url http://127.0.0.1:9/simple\nsome-library==1.2.3\n"
    content = InlineContent(files={"run.sh": "true", "requirements.txt": nobody})

    with pytest.raises(LaunchError) as refused:
        await backend.launch(order(bed, "", content=content, python=python))

    assert refused.value.fault is Fault.INFRASTRUCTURE, refused.value.detail


# -- called off -------------------------------------------------------------------------------------------------------

SLOW_PROJECT = {
    "run.sh": "true",
    "requirements.txt": "./project\n",
    "project/pyproject.toml": (
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
        "[project]\nname = 'slow'\ndynamic = ['version']\n"
    ),
    "project/backend.py": "import time\ntime.sleep(600)\n",
}
"""An installation that takes ten minutes."""


class Interest:
    """Says that a launch is not wanted any more from the given look on."""

    def __init__(self, looks: int) -> None:
        self._left = looks
        self._lock = threading.Lock()

    def called_off(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left < 0

    async def look_again(self) -> None:
        with self._lock:
            self._left = 0


async def test_a_launch_that_is_called_off_while_it_is_prepared_starts_nothing(
    bed: Bed, backend: Backend, tmp_path: Path, no_network: None
) -> None:
    (tmp_path / "base.txt").write_text("")
    python = PythonEnvironment(base=tmp_path / "base.txt", requirements="requirements.txt")
    slow = order(bed, "", content=InlineContent(files=SLOW_PROJECT), python=python)

    async with asyncio.timeout(PATIENCE):
        with pytest.raises(CalledOffError):
            await backend.launch(replace(slow, called_off=Interest(looks=8).called_off))

    assert await backend.adopt(slow.attempt, ()) is None
    assert not bed.living(slow.attempt)


async def test_a_launch_that_waits_for_anothers_preparation_is_called_off_at_once(
    bed: Bed, backend: Backend, tmp_path: Path, no_network: None
) -> None:
    (tmp_path / "base.txt").write_text("")
    python = PythonEnvironment(base=tmp_path / "base.txt", requirements="requirements.txt")
    slow = [order(bed, "", content=InlineContent(files=SLOW_PROJECT), python=python) for _ in range(3)]
    done = threading.Event()
    first = asyncio.create_task(backend.launch(replace(slow[0], called_off=done.is_set)))

    async with asyncio.timeout(PATIENCE):
        for one in slow[1:]:
            with pytest.raises(CalledOffError):
                await backend.launch(replace(one, called_off=Interest(looks=4).called_off))
        under_way = not first.done()
        done.set()
        with pytest.raises(CalledOffError):
            await first

    assert under_way


async def test_the_last_look_before_the_start_counts(bed: Bed, backend: Backend) -> None:
    wanted = order(bed, FOREVER)
    interest = Interest(looks=1000)

    with pytest.raises(CalledOffError):
        await backend.launch(replace(wanted, called_off=interest.called_off, look_again=interest.look_again))

    assert await backend.adopt(wanted.attempt, ()) is None
    assert (await up(backend, wanted)).attempt == wanted.attempt


async def test_what_runs_already_is_adopted_although_it_is_called_off(bed: Bed, backend: Backend) -> None:
    """Calling off breaks a preparation off. Ending what runs is another call."""
    wanted = order(bed, FOREVER)
    await up(backend, wanted)

    assert await bed.open().launch(replace(wanted, called_off=lambda: True)) == Launched(attempt=wanted.attempt)
