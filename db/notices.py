"""Notices as payloads of NOTIFY. This is the only module that writes and reads them.

    admitted:<id>,<id>    preempt:<id>,<id>    cancel:<id>    ended:<id>,<kind>,<status>[,<reason>]    *

A payload that this version does not understand, or that is too long for PostgreSQL, becomes `LookAgain`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import assert_never
from uuid import UUID

from sqlalchemy import Connection

from db import listen
from model.execution import Reason
from model.ids import RunId
from model.notices import Admitted, CancelAsked, Ended, LookAgain, Notice, PreemptAsked
from model.runs import RunKind, run_status

ADMITTED = "admitted:"
"""The pass of the gate builds this payload in SQL, from the ids in the order of admission, joined by commas."""
IDS_A_MESSAGE = 200
"""Ids in one payload. It must stay below 8000 bytes, and an id and its comma take 37."""
_PREEMPT, _CANCEL, _ENDED = "preempt:", "cancel:", "ended:"


def tell(conn: Connection, notices: Sequence[Notice]) -> None:
    """Tell all listeners, in order, when this transaction commits."""
    payloads = [payload(part) for notice in notices for part in _parts(notice)]
    if payloads:
        listen.notify_all(conn, payloads)


def payload(notice: Notice) -> str:
    """Return the payload of a notice."""
    match notice:
        case Admitted(run_ids=run_ids):
            return ADMITTED + _joined(run_ids)
        case PreemptAsked(run_ids=run_ids):
            return _PREEMPT + _joined(run_ids)
        case CancelAsked(run_id=run_id):
            return f"{_CANCEL}{run_id}"
        case Ended(run_id=run_id, kind=kind, status=status, reason=reason):
            return _ENDED + ",".join([str(run_id), kind, status, *([reason] if reason else [])])
        case LookAgain():
            return listen.LOOK_AGAIN
        case _:
            assert_never(notice)


def parse(text: str) -> Notice:
    """Return the notice of a payload; `LookAgain` for one that this version does not understand."""
    kind, colon, rest = text.partition(":")
    read = _READERS.get(kind + colon)
    try:
        return LookAgain() if read is None else read(rest.split(","))
    except (ValueError, IndexError):
        return LookAgain()


def _parts(notice: Notice) -> Iterator[Notice]:
    """Split a notice that names many runs, so that each part fits into a payload."""
    if not isinstance(notice, Admitted | PreemptAsked):
        yield notice
        return
    for first in range(0, len(notice.run_ids), IDS_A_MESSAGE):
        yield type(notice)(run_ids=notice.run_ids[first : first + IDS_A_MESSAGE])


def _joined(run_ids: Sequence[RunId]) -> str:
    return ",".join(map(str, run_ids))


def _ids(words: Sequence[str]) -> tuple[RunId, ...]:
    return tuple(RunId(UUID(word)) for word in words if word)


def _ended(words: Sequence[str]) -> Ended:
    run_id, kind, status, *reason = words
    return Ended(
        run_id=RunId(UUID(run_id)),
        kind=RunKind(kind),
        status=run_status(status),
        reason=Reason(reason[0]) if reason else None,
    )


_READERS: dict[str, Callable[[Sequence[str]], Notice]] = {
    ADMITTED: lambda words: Admitted(run_ids=_ids(words)),
    _PREEMPT: lambda words: PreemptAsked(run_ids=_ids(words)),
    _CANCEL: lambda words: CancelAsked(run_id=_ids(words)[0]),
    _ENDED: _ended,
}
