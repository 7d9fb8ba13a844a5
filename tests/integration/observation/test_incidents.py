"""The client of the incident service, against a server that plays PagerDuty on its good and bad days."""

import json

import pytest
from harness.scripted_http import Answer, Asked, serving

from cluster.observation.errors import RefusedError, UnreachableError
from cluster.observation.incidents import MOST_PAGES, PAGE, IncidentAccess, IncidentService

TOKEN = "a-token-that-must-not-be-shown"


def incident(number: int, *, status: str = "triggered") -> dict[str, object]:
    return {
        "id": f"Q{number:03}", "title": f"checkout is slow ({number})", "status": status,
        "created_at": f"2026-11-30T0{number % 10}:00:00Z", "html_url": f"https://example.org/incidents/Q{number:03}",
        "service": {"id": "PSHOP", "type": "service_reference", "summary": "shop"}, "urgency": "high",
    }  # fmt: skip


def on_call(person: str, level: int, policy: str = "PPOL") -> dict[str, object]:
    return {
        "user": {"id": f"P{person}", "summary": person}, "escalation_level": level, "start": None, "end": None,
        "escalation_policy": {"id": policy, "summary": "shop, first line"},
    }  # fmt: skip


def service(url: str, seconds: float = 5.0) -> IncidentService:
    return IncidentService(IncidentAccess(url=url, token=TOKEN), seconds=seconds)


async def test_open_incidents_are_asked_for_by_state_and_service_and_told_oldest_first() -> None:
    with serving(lambda _: Answer(body={"incidents": [incident(2), incident(1, status="acknowledged")]})) as server:
        found = await service(server.url).open_incidents(["PSHOP", "PPAY"])

    assert [(one.id, one.status, one.service) for one in found] == [
        ("Q001", "acknowledged", "shop"),
        ("Q002", "triggered", "shop"),
    ]
    [asked] = server.asked
    assert asked.path == "/incidents"
    assert asked.query["statuses[]"] == ["triggered", "acknowledged"]
    assert asked.query["service_ids[]"] == ["PSHOP", "PPAY"]
    assert asked.headers["authorization"] == f"Token token={TOKEN}"
    assert asked.headers["accept"] == "application/vnd.pagerduty+json;version=2"


async def test_all_pages_are_read_and_an_incident_on_two_pages_counts_once() -> None:
    def script(asked: Asked) -> Answer:
        first = asked.query["offset"] == ["0"]
        body = [incident(1), incident(2)] if first else [incident(2), incident(3)]
        return Answer(body={"incidents": body, "more": first})

    with serving(script) as server:
        found = await service(server.url).open_incidents()

    assert [one.id for one in found] == ["Q001", "Q002", "Q003"]
    assert [asked.query["offset"] for asked in server.asked] == [["0"], [str(PAGE)]]


async def test_a_list_without_an_end_is_refused() -> None:
    endless = Answer(body={"incidents": [], "more": True})
    with serving(lambda _: endless) as server, pytest.raises(RefusedError, match="name the services that matter"):
        await service(server.url).open_incidents()

    assert len(server.asked) == MOST_PAGES


async def test_who_is_on_call_is_told_by_level() -> None:
    body = {"oncalls": [on_call("Sam", 2), on_call("Alex", 1), on_call("Alex", 1)]}
    with serving(lambda _: Answer(body=body)) as server:
        found = await service(server.url).on_call(["PPOL"])

    assert [(one.person, one.level) for one in found] == [("Alex", 1), ("Sam", 2)]
    assert server.asked[0].query["escalation_policy_ids[]"] == ["PPOL"]


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (Answer(status=401, body={"error": {"message": "Authentication failed"}}), RefusedError, "renew it"),
        (Answer(status=403, body={}), RefusedError, "an administrator must allow it"),
        (Answer(status=404, body={}), RefusedError, "mend the address"),
        (Answer(status=429, body={}, headers={"Retry-After": "17"}), UnreachableError, "asks to wait 17 s"),
        (Answer(status=500, text="<html>oops</html>"), UnreachableError, "HTTP 500: <html>oops"),
        (Answer(text="<html>a login page</html>"), UnreachableError, "not a list of this kind"),
        (Answer(body={"incidents": [{"id": "Q1"}]}), UnreachableError, "not a list of this kind"),
        (Answer(body={"oncalls": []}), UnreachableError, "not a list of this kind"),
        (Answer(status=302, body={}, headers={"Location": "https://example.org"}), UnreachableError, "HTTP 302"),
    ],
)
async def test_what_is_no_answer_is_an_error_that_says_who_must_act(
    answer: Answer, error: type[Exception], message: str
) -> None:
    with serving(lambda _: answer) as server, pytest.raises(error, match=message) as raised:
        await service(server.url).open_incidents()

    assert TOKEN not in str(raised.value)
    assert server.url in str(raised.value)
    assert len(server.asked) == 1


async def test_a_server_that_hangs_is_unreachable_after_the_time_limit() -> None:
    with serving(lambda _: Answer(hangs=True)) as server, pytest.raises(UnreachableError, match=r"within 0\.3 s"):
        await service(server.url, seconds=0.3).open_incidents()


async def test_pages_that_come_too_slowly_are_no_answer() -> None:
    def script(asked: Asked) -> Answer:
        return Answer(body={"incidents": [], "more": True}, hangs=asked.query["offset"] != ["0"])

    with serving(script) as server, pytest.raises(UnreachableError, match="no whole answer"):
        await service(server.url, seconds=1.0).open_incidents()


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    with serving(lambda _: Answer()) as server:
        url = server.url

    with pytest.raises(UnreachableError, match="no answer"):
        await service(url).open_incidents()


def test_the_token_is_not_shown_with_the_access() -> None:
    assert TOKEN not in repr(IncidentAccess(url="https://example.org", token=TOKEN))
    assert json.dumps(TOKEN) not in str(service("https://example.org").__dict__)
