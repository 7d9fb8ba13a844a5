"""The client of Alertmanager: against a server on its bad days, and against a real one where there is one."""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from harness.monitoring_servers import free_port, until_ready
from harness.scripted_http import Answer, serving

from chaos.alerts import Alert
from cluster.observation.alertmanager import Alertmanager, AlertmanagerAccess
from cluster.observation.errors import RefusedError, UnreachableError

TOKEN = "a-token-that-must-not-be-shown"
NOW = datetime.now(UTC)  # noqa: TID251  a test: a real Alertmanager goes by the clock
PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


def alert(service: str, ends_at: datetime) -> Alert:
    labels = {"alertname": "AssayExperimentRunning", "service": service}
    return Alert(labels=labels, annotations={"summary": "x"}, starts_at=NOW, ends_at=ends_at)


def manager(url: str, seconds: float = 2.0) -> Alertmanager:
    return Alertmanager(AlertmanagerAccess(url=url, token=TOKEN), seconds=seconds)


async def test_an_address_with_a_prefix_and_a_token_are_used() -> None:
    with serving(lambda _: Answer(body=[])) as server:
        await manager(f"{server.url}/prefix/").send([alert("orders", NOW)])

    [asked] = server.asked
    assert (asked.path, asked.headers["authorization"]) == ("/prefix/api/v2/alerts", f"Bearer {TOKEN}")


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (Answer(status=400, text="bad labels"), RefusedError, "HTTP 400: bad labels"),
        (Answer(status=404, text=""), RefusedError, "HTTP 404"),
        (Answer(status=302, text="", headers={"Location": "/"}), RefusedError, "HTTP 302"),
        (Answer(status=503, text="not ready"), UnreachableError, "HTTP 503"),
        (Answer(hangs=True), UnreachableError, "no answer within 0.2 s"),
        (Answer(text="<html>"), RefusedError, "is it the API v2"),
        (Answer(body={"data": []}), RefusedError, "is it the API v2"),
    ],
)
async def test_a_bad_day_is_an_error_in_time(answer: Answer, error: type[Exception], said: str) -> None:
    with serving(lambda _: answer) as server, pytest.raises(error, match=said) as raised:
        await manager(server.url, 0.2).firing()

    assert TOKEN not in str(raised.value)


@pytest.fixture
def real(tmp_path: Path) -> Iterator[str]:
    """A real Alertmanager on loopback that sends nothing to anybody."""
    if PROGRAM is None:
        pytest.skip(
            "needs Alertmanager. Debian and Ubuntu: apt-get install --no-install-recommends prometheus-alertmanager"
        )
    url = f"http://127.0.0.1:{free_port()}"
    file = tmp_path / "am.yml"
    file.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    command = [PROGRAM, f"--config.file={file}", f"--storage.path={tmp_path}/data",
               f"--web.listen-address={url.removeprefix('http://')}", "--cluster.listen-address="]  # fmt: skip
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            until_ready(url, process, tmp_path / "log")
            yield url
        finally:
            process.terminate()


async def test_a_real_alertmanager_shows_an_alert_until_it_is_ended_and_has_no_silence(real: str) -> None:
    client = Alertmanager(AlertmanagerAccess(url=real))
    later = NOW + timedelta(minutes=1)

    await client.send([alert("orders", later), alert("payments", later)])
    begun = await client.firing()
    await client.send([alert("orders", later), alert("payments", later)])
    await client.send([alert("payments", datetime.now(UTC))])  # noqa: TID251  as above
    left = await client.firing()

    assert sorted(one.labels["service"] for one in begun) == ["orders", "payments"]
    assert [one.labels["service"] for one in left] == ["orders"]
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"{real}/api/v2/silences")).json() == []
