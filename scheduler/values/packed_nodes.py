"""The nodes of a pool as one small value of bytes, so that a pass reads one row however many nodes there are.

Layout: a byte with the version of the format, then, deflated: the length of the head (4 bytes, little-endian), the head
(JSON: names, label pairs, taints, backends), and columns of numbers with one entry a node. The last column, `pairs`, is
different: it holds the label pairs of each distinct label set, one set after the other, `sizes[i]` of them. Equal label
sets, taints and backends are stored once.
"""

import json
import zlib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from struct import pack as packed_struct
from struct import unpack_from
from typing import Any, TypeVar

import numpy as np

from model.config import Effect
from model.ids import BackendName, NodeName
from model.resources import Resources
from scheduler.values.node import Node, Taint

FORMAT = 2
_LARGE, _SMALL = np.dtype("<i8"), np.dtype("<u4")
_HEAD = "<I"

T = TypeVar("T", bound=Hashable)


def pack(nodes: Iterable[Node]) -> bytes:
    """Return nodes as bytes, in order of name: the same nodes give the same bytes."""
    ordered = sorted(nodes, key=lambda node: node.name)
    pairs: dict[tuple[str, str], int] = {}
    sets: dict[tuple[int, ...], int] = {}
    taints: dict[tuple[Taint, ...], int] = {}
    backends: dict[BackendName, int] = {}
    in_set = [_number(tuple(_number(pair, pairs) for pair in sorted(node.labels.items())), sets) for node in ordered]
    tainted = [_number(node.taints, taints) for node in ordered]
    on_backend = [_number(node.backend, backends) for node in ordered]
    packed = [[(taint.key, taint.value, taint.effect) for taint in of_node] for of_node in taints]
    names = [node.name for node in ordered]
    head = json.dumps({"names": names, "pairs": list(pairs), "taints": packed, "backends": list(backends)}).encode()
    columns = [np.array(column, dtype=_LARGE) for column in _amounts(ordered)]
    sizes, entries = [len(numbers) for numbers in sets], [number for numbers in sets for number in numbers]
    small = ([node.ready for node in ordered], in_set, tainted, on_backend, [len(sizes)], sizes, entries)
    columns += [np.array(column, dtype=_SMALL) for column in small]
    body = packed_struct(_HEAD, len(head)) + head + b"".join(column.tobytes() for column in columns)
    return bytes((FORMAT,)) + zlib.compress(body, 1)


def unpack(data: bytes) -> tuple[Node, ...]:
    """Return the nodes by name; equal labels are one object. Raises: ValueError for a format it does not know."""
    if data[:1] != bytes((FORMAT,)):
        found = data[0] if data else "none"
        raise ValueError(f"the packed nodes have format {found}, this version of Assay reads format {FORMAT}")
    body = zlib.decompress(data[1:])
    (length,) = unpack_from(_HEAD, body)
    head = json.loads(body[4 : 4 + length])
    columns = _Columns(body, 4 + length)
    number = len(head["names"])
    amounts = [columns.take(_LARGE, number) for _ in range(5)]
    ready, in_set, tainted, on_backend = (columns.take(_SMALL, number) for _ in range(4))
    labels = list(_label_sets(head["pairs"], columns))
    taints = [tuple(Taint(key=k, value=v, effect=Effect(e)) for k, v, e in packed) for packed in head["taints"]]
    backends = [BackendName(name) for name in head["backends"]]
    return tuple(
        Node(
            name=NodeName(name),
            capacity=Resources(cpu_milli=cpu, memory_bytes=memory, ephemeral_bytes=ephemeral, gpu=gpu),
            pods=pods,
            labels=labels[which],
            taints=taints[taint],
            ready=up == 1,
            backend=backends[backend],
        )
        for name, cpu, memory, ephemeral, gpu, pods, up, which, taint, backend in zip(
            head["names"], *amounts, ready, in_set, tainted, on_backend, strict=True
        )
    )


class _Columns:
    """Columns of numbers, read one after the other."""

    def __init__(self, body: bytes, offset: int) -> None:
        self.body = body
        self.offset = offset

    def take(self, kind: np.dtype[Any], number: int) -> list[int]:
        """Return the next `number` entries."""
        column = np.frombuffer(self.body, dtype=kind, count=number, offset=self.offset)
        self.offset += column.nbytes
        entries: list[int] = column.tolist()
        return entries


def _label_sets(pairs: Sequence[Sequence[str]], columns: _Columns) -> Iterator[Mapping[str, str]]:
    [number] = columns.take(_SMALL, 1)
    sizes = columns.take(_SMALL, number)
    entries = columns.take(_SMALL, sum(sizes))
    table = [(key, value) for key, value in pairs]
    start = 0
    for size in sizes:
        yield dict([table[entry] for entry in entries[start : start + size]])
        start += size


def _number(value: T, numbers: dict[T, int]) -> int:
    """Return the number of a value, the same for equal ones; a new one gets the next."""
    return numbers.setdefault(value, len(numbers))


def _amounts(nodes: Sequence[Node]) -> tuple[list[int], ...]:
    return (
        [node.capacity.cpu_milli for node in nodes],
        [node.capacity.memory_bytes for node in nodes],
        [node.capacity.ephemeral_bytes for node in nodes],
        [node.capacity.gpu for node in nodes],
        [node.pods for node in nodes],
    )
