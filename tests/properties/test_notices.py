"""Notices come out of their payloads as they went in, and nothing that anybody sends stops a listener."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from db.listen import LONGEST_PAYLOAD, LOOK_AGAIN
from db.notices import ADMITTED, IDS_A_MESSAGE, parse, payload
from model.execution import Reason, Status
from model.ids import RunId
from model.notices import Admitted, CancelAsked, Ended, LookAgain, Notice, PreemptAsked
from model.runs import SKIPPED, RunKind

IDS = st.uuids().map(RunId)
MANY = st.lists(IDS, max_size=IDS_A_MESSAGE, unique=True).map(tuple)
NOTICES = st.one_of(
    st.builds(Admitted, run_ids=MANY),
    st.builds(PreemptAsked, run_ids=MANY),
    st.builds(CancelAsked, run_id=IDS),
    st.builds(
        Ended,
        run_id=IDS,
        kind=st.sampled_from(RunKind),
        status=st.sampled_from([*Status, SKIPPED]),
        reason=st.none() | st.sampled_from(Reason),
    ),
    st.just(LookAgain()),
)
RUN = RunId(UUID(int=7))


@given(NOTICES)
def test_a_notice_comes_out_as_it_went_in(notice: Notice) -> None:
    text = payload(notice)

    assert parse(text) == notice
    assert len(text.encode()) <= LONGEST_PAYLOAD


@given(st.text())
def test_whatever_arrives_is_a_notice(text: str) -> None:
    """Of another version, another program, or cut off: then everybody looks for itself."""
    assert isinstance(parse(text), Notice)


def test_what_a_newer_version_says_makes_everybody_look() -> None:
    unknown = ("paused:1", f"ended:{RUN},chaos,completed", f"ended:{RUN},test,vanished", f"ended:{RUN}", "cancel:", "")

    assert [parse(text) for text in (*unknown, LOOK_AGAIN)] == [LookAgain()] * 7


def test_the_prefix_that_sql_uses_is_that_of_the_notice() -> None:
    assert payload(Admitted(run_ids=(RUN,))) == f"{ADMITTED}{RUN}"
