"""What the keeper sends: a header line, output, packed results, cut into pieces anywhere."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.backend import UnavailableError
from cluster.kubernetes.spool import LARGEST_HEADER, Incoming

USAGE = {"memory_bytes": 5, "peak_memory_bytes": 7, "cpu_seconds": 0.5, "processes": 2}


def sent(output: bytes, live: bytes, packed: bytes, usage: object = USAGE) -> bytes:
    header = {"bytes": len(output), "live": len(live), "usage": usage}
    return json.dumps(header).encode() + b"\n" + output + live + packed


def taken(data: bytes, cuts: list[int]) -> tuple[list[bytes], Incoming]:
    files = [io.BytesIO() for _ in range(3)]
    incoming = Incoming(*files)
    places = sorted(min(cut, len(data)) for cut in cuts)
    for begin, end in zip([0, *places], [*places, len(data)], strict=True):
        incoming.take(data[begin:end])
    return [file.getvalue() for file in files], incoming


@given(*[st.binary(max_size=50)] * 3, st.lists(st.integers(0, 250), max_size=10))
def test_it_does_not_matter_how_the_bytes_are_cut(output: bytes, live: bytes, packed: bytes, cuts: list[int]) -> None:
    files, incoming = taken(sent(output, live, packed), cuts)

    assert files == [output, live, packed]
    assert incoming.usage is not None
    assert (incoming.usage.memory_bytes, incoming.usage.processes) == (5, 2)


def test_usage_may_be_unknown() -> None:
    assert taken(sent(b"a", b"", b"", None), [])[1].usage is None


@pytest.mark.parametrize(
    "data",
    [b"no JSON\n", b'{"bytes": "many"}\n', sent(b"", b"", b"", {"memory_bytes": "much"}), b"x" * (LARGEST_HEADER + 1)],
    ids=["no JSON", "no number", "no usage", "no end"],
)
def test_what_no_keeper_of_ours_sends_is_refused(data: bytes) -> None:
    with pytest.raises(UnavailableError):
        taken(data, [])
