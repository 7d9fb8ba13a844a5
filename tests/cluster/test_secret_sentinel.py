"""One secret is looked for everywhere after a run in a pod that shows it wherever it can.

It stands in the file that its reference names, and while the test runs in the Secret of the attempt: nowhere else.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest
from harness.cluster_namespaces import ServedCluster
from harness.stack import Stack, pytest_request, until

from cluster.kubernetes.connection import Connection

pytestmark = pytest.mark.cluster

SENTINEL = "s3ntinel/v4lue+of=one-secret"
SHOWS_IT = """
import os, pathlib, sys, time

def test_it_shows_the_secret_wherever_it_can(record_property):
    value = os.environ["TOKEN"]
    print(value, os.environ["URL"])
    print(value, file=sys.stderr)
    record_property("token", value)
    (pathlib.Path(os.environ["ASSAY_RESULTS_DIR"]) / "dump.txt").write_text(value * 3)
    print("shown", flush=True)
    time.sleep(4)
    raise AssertionError(f"it is {value}")
"""


def test_a_secret_is_found_in_the_secret_of_its_attempt_only(served: ServedCluster, tmp_path: Path) -> None:
    stack, file = served.stack, tmp_path / "source"
    file.write_text(SENTINEL)
    assert stack.rest("PUT", "/secrets/sentinel", json={"reference": f"file:{file}"}).status_code == 200
    env = {"TOKEN": "${secrets.sentinel}", "URL": "https://u:${secrets.sentinel}@host"}
    config = {"nodeSelector": served.host}

    run = stack.submit(pytest_request(SHOWS_IT, env=env, config=config, arguments=["-s"]))
    until("it runs", lambda: "shown" in stack.rest("GET", f"/tests/{run}/logs").text, 120)
    during = found_in(objects(served))
    row = stack.ended(run, 120)
    stack.settled(run)

    assert row["failure_reason"] == "tests_failed", row
    assert set(during) == {"secrets"}
    places = {**objects(served), **told_by_rest(stack, run), **databases(stack), **told_by_prefect(stack)}
    places |= {str(path): path.read_bytes() for path in files(stack)}
    assert len(places) > 20
    assert found_in(places) == []


def signs(text: str) -> list[bytes]:
    """Return the forms in which a value may stand somewhere: plain, in base64, in an address, in JSON."""
    plain = text.encode()
    return [plain, base64.b64encode(plain), quote(text, safe="").encode(), json.dumps(text)[1:-1].encode()]


def found_in(places: Mapping[str, bytes]) -> list[str]:
    return sorted(name for name, data in places.items() if any(sign in data for sign in signs(SENTINEL)))


def objects(served: ServedCluster) -> dict[str, bytes]:
    """Return all objects of the namespace that may have to do with a run."""
    connection = Connection(served.access)
    inside = f"/api/v1/namespaces/{served.access.namespace}"
    kinds = ("pods", "secrets", "configmaps", "events")
    found = {kind: connection.get(f"{inside}/{kind}") for kind in kinds}
    connection.close()
    return found


def told_by_rest(stack: Stack, run: str) -> dict[str, bytes]:
    parts = ("", "/results", "/logs", "/artifacts", "/metrics", "/explanation")
    told = {f"GET /tests/{run}{part}": stack.rest("GET", f"/tests/{run}{part}").content for part in parts}
    for artifact in stack.rest("GET", f"/tests/{run}/artifacts").json()["artifacts"]:
        name = artifact["name"]
        told[f"artifact {name}"] = stack.rest("GET", f"/tests/{run}/artifacts/{name}").content
    assert any("dump.txt" in name for name in told)
    return told


def databases(stack: Stack) -> dict[str, bytes]:
    """Return every row of every table of both databases."""
    return {f"{name}.{table}": rows for name in ("assay", "prefect") for table, rows in tables(stack, name)}


def tables(stack: Stack, database: str) -> Iterator[tuple[str, bytes]]:
    with stack.connect(database) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
        for table in [row["tablename"] for row in cursor.fetchall()]:
            cursor.execute(f'SELECT t::text AS line FROM "{table}" t')
            yield table, "\n".join(row["line"] for row in cursor.fetchall()).encode()


def told_by_prefect(stack: Stack) -> dict[str, bytes]:
    """Return what Prefect's API tells, as its pages ask for it."""
    kinds = ("flow_runs", "task_runs", "logs", "artifacts")
    told = {kind: stack.prefect("POST", f"/{kind}/filter", json={"limit": 200}) for kind in kinds}
    return {f"prefect {kind}": json.dumps(answer).encode() for kind, answer in told.items()}


def files(stack: Stack) -> Iterator[Path]:
    """Yield the files of the whole stack, logs of its processes included. A database's own files are read as tables."""
    for path in sorted(stack.folder.rglob("*")):
        if path.is_file() and "postgres" not in path.relative_to(stack.folder).parts:
            yield path
