"""What every store of logs does: each byte of a source once, masked, in the order of the attempts."""

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.logs import LogStore
from model.ids import ExecutionId
from model.mask import Mask
from model.ports import Logs

Open = Callable[[Path], Logs]
RUN = ExecutionId(UUID(int=7))
SECRETS = ["sesame-open", "cat"]
SOURCES = st.lists(st.sampled_from([b"sesame-", b"open", b"cat", b" ", b"\n", b"\xff\x00", b"ses"]), max_size=30).map(
    b"".join
)
STORES: dict[str, Open] = {"files": lambda folder: LogStore(folder / "logs")}


@pytest.fixture(params=STORES)
def opened(request: pytest.FixtureRequest) -> Open:
    """Opens the store of a folder; called again it is another process's view of the same store."""
    return STORES[request.param]


@pytest.fixture
def store(opened: Open, tmp_path: Path) -> Logs:
    return opened(tmp_path)


@given(SOURCES, st.lists(st.integers(0, 60), max_size=8))
def test_the_log_is_the_masked_source_however_it_grew(source: bytes, grown: list[int]) -> None:
    """Not a parameter of the others: Hypothesis wants a fresh folder for each example."""
    mask = Mask(SECRETS)
    for name, opened in STORES.items():
        with tempfile.TemporaryDirectory() as folder:
            path, store = Path(folder) / "output.log", opened(Path(folder))
            for length in sorted(grown):
                path.write_bytes(source[:length])
                store.append_from(path, RUN, 1, mask)
                assert mask.whole(source).startswith(store.read(RUN, 0, 10_000)), name
            path.write_bytes(source)
            store.append_from(path, RUN, 1, mask, final=True)

            assert store.append_from(path, RUN, 1, mask, final=True) == 0
            assert store.read(RUN, 0, 10_000) == mask.whole(source), name


def test_a_log_without_a_secret_in_sight_is_shown_at_once(store: Logs, tmp_path: Path) -> None:
    (tmp_path / "output.log").write_bytes(b"working on it")

    assert store.append_from(tmp_path / "output.log", RUN, 1, Mask(["sesame-open"])) == len(b"working on it")


def test_attempts_follow_each_other_in_one_log(store: Logs, tmp_path: Path) -> None:
    for attempt, text in ((1, "first\n"), (2, "second\n")):
        source = tmp_path / f"{attempt}.log"
        source.write_text(text)
        store.append_from(source, RUN, attempt, final=True)
        source.write_text(text * 2)
        store.append_from(source, RUN, attempt, final=True)

    assert store.read(RUN, 0, 1000) == b"first\nfirst\nsecond\nsecond\n"
    assert store.read(RUN, 6, 8) == b"first\nse"
    assert store.size(RUN) == 26


def test_an_older_attempt_adds_nothing_any_more(store: Logs, tmp_path: Path) -> None:
    """A worker that lost the run, and does not know it yet, still carries the log of the attempt it saw."""
    (tmp_path / "1.log").write_text("one")
    (tmp_path / "2.log").write_text("two")
    store.append_from(tmp_path / "1.log", RUN, 1)
    store.append_from(tmp_path / "2.log", RUN, 2)
    (tmp_path / "1.log").write_text("one and more")

    assert store.append_from(tmp_path / "1.log", RUN, 1) == 0
    assert store.read(RUN, 0, 100) == b"onetwo"


def test_writers_at_the_same_time_write_each_byte_once(opened: Open, tmp_path: Path) -> None:
    source = tmp_path / "output.log"
    source.write_bytes(bytes(range(256)) * 20_000)
    stores = [opened(tmp_path) for _ in range(4)]

    with ThreadPoolExecutor(4) as threads:
        taken = list(threads.map(lambda store: store.append_from(source, RUN, 1, final=True), stores))

    assert sum(taken) == source.stat().st_size
    assert stores[0].read(RUN, 0, 10**7) == source.read_bytes()


def test_runs_do_not_share_a_log(store: Logs, tmp_path: Path) -> None:
    (tmp_path / "output.log").write_text("mine")
    store.append_from(tmp_path / "output.log", RUN, 1)

    assert store.size(ExecutionId(uuid4())) == 0


def test_a_run_without_a_log_has_an_empty_one(store: Logs, tmp_path: Path) -> None:
    assert store.append_from(tmp_path / "nothing.log", RUN, 1) == 0
    assert store.read(ExecutionId(uuid4()), 0, 10) == b""
    assert store.size(ExecutionId(uuid4())) == 0


def test_a_link_in_place_of_the_output_is_not_followed(store: Logs, tmp_path: Path) -> None:
    (tmp_path / "output.log").symlink_to("/etc/passwd")

    with pytest.raises(OSError, match="symbolic"):
        store.append_from(tmp_path / "output.log", RUN, 1)
