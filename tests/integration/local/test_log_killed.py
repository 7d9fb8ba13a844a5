"""The log has each byte of its source once, masked, whoever was killed wherever, and however the source grew."""

import contextlib
import tempfile
from pathlib import Path
from typing import NoReturn
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import logs
from cluster.logs import LogStore
from model.ids import ExecutionId
from model.mask import Mask

RUN = ExecutionId(UUID(int=7))
SECRETS = ["sesame-open", "open-sesame", "aaaaaaaa", "cat"]
PIECES = st.sampled_from(
    [b"sesame-", b"open", b"-sesame", b"a" * 5, b"cat", b" ", b"\n", b"concat", b"\xff\x00", b"ses", b"x"]
)
SOURCES = st.lists(PIECES, max_size=40).map(b"".join)


class KilledError(BaseException):
    """The worker dies here."""


class Pen:
    """Writes as the system does: sometimes less than asked for; and dies after a given number of bytes."""

    def __init__(self, allowed: int) -> None:
        self.left = allowed

    def __call__(self, sink: int, data: bytes) -> int:
        done = os_write(sink, data[: max(0, min(self.left, 3))]) if self.left else self.die()
        self.left -= done
        return done

    def die(self) -> NoReturn:
        raise KilledError


os_write = logs.os.write


@given(SOURCES, st.lists(st.integers(0, 120), max_size=12), st.lists(st.integers(0, 60), max_size=12))
def test_the_log_is_the_masked_source_however_often_its_writer_is_killed(
    source: bytes, grown: list[int], deaths: list[int]
) -> None:
    """At each look the source has grown, and the writer dies after some bytes; in the end all is there."""
    mask = Mask(SECRETS)
    expected = mask.whole(source)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path, store = Path(folder) / "output.log", LogStore(Path(folder) / "logs", window=16)
        for length, allowed in zip(sorted(grown), deaths, strict=False):
            path.write_bytes(source[:length])
            patch.setattr(logs.os, "write", Pen(allowed))
            with contextlib.suppress(KilledError):
                store.append_from(path, RUN, 1, mask)
            sofar = store.read(RUN, 0, 10_000)
            assert expected.startswith(sofar)
        patch.setattr(logs.os, "write", os_write)
        path.write_bytes(source)
        store.append_from(path, RUN, 1, mask, final=True)
        store.append_from(path, RUN, 1, mask, final=True)

        assert store.read(RUN, 0, 10_000) == expected
