"""The log is followed while the worker is killed and restarted: no byte is lost, none comes twice."""

import json
import threading
from pathlib import Path

import httpx
import pytest
from harness.stack import KEY, Stack, shell, until

pytestmark = pytest.mark.faults


def follow(stack: Stack, run: str, heard: list[str]) -> None:
    """Read the stream, resume by the last id whenever it breaks, until its end event."""
    last = "0"
    while True:
        headers = {"Authorization": f"Bearer {KEY}", "Accept": "text/event-stream", "Last-Event-ID": last}
        try:
            with httpx.stream("GET", f"{stack.api_url}/api/v1/tests/{run}/logs", headers=headers, timeout=60) as stream:
                kind, identifier, data = "message", last, []
                for line in stream.iter_lines():
                    field, _, value = line.partition(":")
                    value = value.removeprefix(" ")
                    if field == "event":
                        kind = value
                    elif field == "id":
                        identifier = value
                    elif field == "data":
                        data.append(value)
                    elif not line:
                        if kind == "end":
                            return
                        if data:
                            heard.append(json.loads("\n".join(data)))
                            last = identifier
                        kind, data = "message", []
        except httpx.HTTPError:
            continue


def test_a_followed_log_survives_the_worker(stack: Stack, tmp_path: Path) -> None:
    enough = tmp_path / "enough"
    script = f"i=0; until [ -e '{enough}' ]; do i=$((i+1)); echo line $i; sleep 0.02; done"
    run = stack.submit(shell(script, name="talks"))
    heard: list[str] = []
    listener = threading.Thread(target=follow, args=(stack, run, heard))
    stack.in_phase(run, "running")
    listener.start()
    more(heard)
    for _ in range(2):
        epoch = stack.row(run)["epoch"]
        stack.kill("worker-1")
        stack.start_worker("worker-1")
        taken_up_again(stack, run, epoch)
        more(heard)
    enough.touch()
    stack.ended(run)
    listener.join(60)

    said = "".join(heard)
    whole = stack.rest("GET", f"/tests/{run}/logs").text
    lines = [line for line in whole.splitlines() if line.startswith("line ")]

    assert not listener.is_alive()
    assert lines == [f"line {number}" for number in range(1, len(lines) + 1)]
    assert said == whole
    assert len(stack.attempts(run)) == 1


def taken_up_again(stack: Stack, run: str, epoch: int) -> None:
    until("it is taken up again", lambda: stack.row(run)["epoch"] > epoch)


def more(heard: list[str]) -> None:
    """Wait until more is heard than before."""
    before = len(heard)
    until("more lines", lambda: len(heard) > before)
