"""The one watch of all pods: it goes on where it ended, and reads the list anew when the server has forgotten."""

import asyncio
from typing import Any

from harness.api_server import Answer, Server

from cluster.kubernetes.api_objects import Pod
from cluster.kubernetes.connection import Connection
from cluster.kubernetes.watch import PodWatch

PATIENCE = 20.0


def pod(version: int, phase: str = "Running", name: str = "p") -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": name, "resourceVersion": str(version)}, "status": {"phase": phase}}


def listed(version: int, *pods: dict[str, Any]) -> Answer:
    return Answer(body={"metadata": {"resourceVersion": str(version)}, "items": list(pods)})


def event(kind: str, told: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": told}


async def until_phase(watch: PodWatch, phase: str | None) -> None:
    """Wait until the watch knows the pod in this phase; None: until it knows of none."""
    async with asyncio.timeout(PATIENCE):
        with watch.listening("p") as changed:
            while True:
                changed.clear()
                known = watch.pod("p")
                if (known.status.phase if known else None) == phase:
                    return
                await changed.wait()


async def test_it_goes_on_from_the_last_version(server: Server, connection: Connection) -> None:
    bookmark = {"metadata": {"resourceVersion": "9"}}
    server.answers = [
        listed(5, pod(4)),
        Answer(lines=(event("MODIFIED", pod(7)), event("BOOKMARK", bookmark))),
        Answer(lines=(event("MODIFIED", pod(11, "Succeeded")),)),
        Answer(status=503),
    ]
    watch = PodWatch(connection)

    await until_phase(watch, "Succeeded")
    watch.close()

    versions = [asked.partition("resourceVersion=")[2].partition("&")[0] for asked in server.asked[1:3]]
    assert versions == ["5", "9"]


async def test_it_reads_the_list_anew_when_the_version_is_too_old(server: Server, connection: Connection) -> None:
    gone = event("ERROR", {"code": 410, "status": "Failure", "message": "too old resource version"})
    server.answers = [
        listed(5, pod(4)),
        Answer(lines=(gone,)),
        listed(20, pod(15, "Pending")),
        Answer(status=410, body={"reason": "Expired"}),
        listed(30, pod(25, "Succeeded")),
        Answer(status=503),
    ]
    watch = PodWatch(connection)

    await until_phase(watch, "Succeeded")
    watch.close()

    lists = [asked for asked in server.asked if "watch=1" not in asked]
    assert len(lists) == 3


async def test_a_pod_that_is_deleted_is_not_known_any_more(server: Server, connection: Connection) -> None:
    server.answers = [
        listed(5, pod(4)),
        Answer(lines=(event("DELETED", pod(6)),)),
        Answer(status=503),
    ]
    watch = PodWatch(connection)
    with watch.listening("p"):
        await until_phase(watch, None)

    watch.close()

    assert watch.pod("p") is None


async def test_what_a_reader_has_seen_is_not_replaced_by_something_older(
    server: Server, connection: Connection
) -> None:
    watch = PodWatch(connection)
    newer, older = (pod(version, phase) for version, phase in ((9, "Succeeded"), (8, "Running")))
    server.answers = [listed(5, pod(4)), Answer(status=503)]

    watch.seen(Pod.model_validate(newer))
    watch.seen(Pod.model_validate(older))

    known = watch.pod("p")
    assert known is not None
    assert known.status.phase == "Succeeded"


async def test_it_goes_on_from_the_last_version_after_the_connection_broke(
    server: Server, connection: Connection
) -> None:
    server.answers = [
        listed(5, pod(4)),
        Answer(lines=(event("MODIFIED", pod(7)),), cut=True),
        Answer(lines=(event("MODIFIED", pod(11, "Succeeded")),)),
        Answer(status=503),
    ]
    watch = PodWatch(connection)

    await until_phase(watch, "Succeeded")
    watch.close()

    asked = [one for one in server.asked if "watch=1" in one]
    assert "resourceVersion=7&" in asked[1]


async def test_a_bookmark_as_a_server_sends_it_moves_the_version_only(server: Server, connection: Connection) -> None:
    bookmark = {"metadata": {"resourceVersion": "9", "creationTimestamp": None}, "spec": {"containers": None}}
    server.answers = [
        listed(5, pod(4)),
        Answer(lines=(event("BOOKMARK", bookmark),)),
        Answer(lines=(event("MODIFIED", pod(11, "Succeeded")),)),
        Answer(status=503),
    ]
    watch = PodWatch(connection)

    await until_phase(watch, "Succeeded")
    watch.close()

    assert "resourceVersion=9&" in server.asked[2]


async def test_a_long_list_is_read_page_by_page(server: Server, connection: Connection) -> None:
    first = {"metadata": {"resourceVersion": "5", "continue": "more"}, "items": [pod(3, name="other")]}
    server.answers = [Answer(body=first), listed(5, pod(4, "Succeeded")), Answer(status=503)]
    watch = PodWatch(connection)

    await until_phase(watch, "Succeeded")
    watch.close()

    assert "continue=more" in server.asked[1]
    assert watch.pod("other") is not None
