"""The keeper prints what a test leaves, with the place of each piece."""

import io
import json
from base64 import b64decode
from pathlib import Path

from cluster.kubernetes import keeper
from cluster.kubernetes.keeper import Tail


def told(out: io.StringIO) -> list[tuple[int, bytes]]:
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert {line["file"] for line in lines} <= {"output"}
    return [(line["at"], b64decode(line["data"])) for line in lines]


def test_only_what_is_new_is_printed(tmp_path: Path) -> None:
    out, path = io.StringIO(), tmp_path / "output.log"
    tail = Tail("output", str(path), 100)

    tail.tell(out)
    path.write_bytes(b"one")
    tail.tell(out)
    tail.tell(out)
    path.write_bytes(b"onetwo")
    tail.tell(out)

    assert told(out) == [(0, b"one"), (3, b"two")]


def test_much_comes_in_pieces_that_fit_a_line(tmp_path: Path) -> None:
    out, path = io.StringIO(), tmp_path / "output.log"
    data = bytes(range(256)) * 400
    path.write_bytes(data)

    Tail("output", str(path), len(data) - 7).tell(out)

    pieces = told(out)
    assert b"".join(piece for _, piece in pieces) == data[:-7]
    assert [at for at, _ in pieces] == [number * keeper.PIECE for number in range(len(pieces))]


def test_a_link_or_a_folder_in_the_place_of_a_file_is_not_read(tmp_path: Path) -> None:
    out = io.StringIO()
    (tmp_path / "secret").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "folder").mkdir()

    for name in ("link", "folder", "none"):
        Tail("output", str(tmp_path / name), 100).tell(out)

    assert out.getvalue() == ""
