"""What every store of contents does: packed folders are kept under the digest of their bytes, whole or not at all."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster.contents import ContentStore
from model.ports import Contents, DigestError, UnknownContentError

Open = Callable[[Path], Contents]
STORES: dict[str, Open] = {"files": lambda folder: ContentStore(folder / "content")}
DATA = bytes(range(250)) * 12
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=STORES)
def opened(request: pytest.FixtureRequest) -> Open:
    """Opens the store of a folder; called again it is another process's view of the same store."""
    return STORES[request.param]


@pytest.fixture
def store(opened: Open, tmp_path: Path) -> Contents:
    return opened(tmp_path)


def send(store: Contents, data: bytes = DATA, *, digest: str = DIGEST, piece: int = 1_000) -> int:
    incoming = store.receive(digest)
    for start in range(0, len(data), piece):
        incoming.write(data[start : start + piece])
    return incoming.keep()


def read(store: Contents, digest: str = DIGEST) -> bytes:
    with store.open(digest) as file:
        return file.read()


def test_what_was_sent_is_there_for_every_process(opened: Open, tmp_path: Path) -> None:
    before = opened(tmp_path).has(DIGEST)

    assert send(opened(tmp_path)) == len(DATA)

    assert (before, opened(tmp_path).has(DIGEST), opened(tmp_path).size(DIGEST)) == (False, True, len(DATA))
    assert read(opened(tmp_path)) == DATA


def test_it_can_be_read_at_any_position_and_often(store: Contents) -> None:
    send(store)

    with store.open(DIGEST) as first, store.open(DIGEST) as second:
        first.seek(2_000)
        assert (first.read(), second.read(10)) == (DATA[2_000:], DATA[:10])
        first.seek(0)
        assert first.read(5) == DATA[:5]


def test_nothing_is_content_too(store: Contents) -> None:
    digest = hashlib.sha256(b"").hexdigest()

    assert send(store, b"", digest=digest) == 0
    assert read(store, digest) == b""


def test_another_digest_is_refused_and_nothing_is_kept(store: Contents, tmp_path: Path) -> None:
    with pytest.raises(DigestError) as refused:
        send(store, DATA + b"x")

    assert refused.value.found == hashlib.sha256(DATA + b"x").hexdigest()
    assert not store.has(DIGEST)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_refused_one_leaves_the_right_one_as_it_was(store: Contents) -> None:
    send(store)
    with pytest.raises(DigestError):
        send(store, b"something else")

    assert read(store) == DATA


def test_what_was_not_kept_is_not_there(store: Contents, tmp_path: Path) -> None:
    incoming = store.receive(DIGEST)
    incoming.write(DATA)
    seen = store.has(DIGEST)
    incoming.discard()
    incoming.discard()

    assert (seen, store.has(DIGEST)) == (False, False)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_discarding_after_keeping_does_no_harm(store: Contents) -> None:
    incoming = store.receive(DIGEST)
    incoming.write(DATA)
    incoming.keep()

    incoming.discard()

    assert read(store) == DATA


def test_sending_again_does_the_same(store: Contents) -> None:
    assert [send(store), send(store)] == [len(DATA)] * 2
    assert read(store) == DATA


def test_many_who_send_the_same_keep_one_whole(opened: Open, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        sizes = list(threads.map(lambda piece: send(opened(tmp_path), piece=piece), (1, 7, 100, 5_000)))

    assert sizes == [len(DATA)] * 4
    assert read(opened(tmp_path)) == DATA


def test_a_reader_keeps_what_it_opened_while_the_same_is_sent_again(store: Contents) -> None:
    send(store)
    with store.open(DIGEST) as file:
        send(store)

        assert file.read() == DATA


def test_what_was_never_sent_is_told(store: Contents) -> None:
    for look in (store.open, store.size):
        with pytest.raises(UnknownContentError):
            look(DIGEST)


@pytest.mark.parametrize("digest", ["", "..", "../../etc/passwd", "/etc/passwd", DIGEST.upper(), f"{DIGEST}\n", "a\0"])
def test_what_is_no_digest_opens_nothing(store: Contents, digest: str) -> None:
    assert not store.has(digest)
    for look in (store.open, store.size, store.receive):
        with pytest.raises(UnknownContentError):
            look(digest)
