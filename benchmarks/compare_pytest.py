"""Public test suites through Assay, each item compared with plain pytest: outcome for outcome.

Each suite is the sdist of a package. Plain pytest and Assay run it in an environment of the same requirements.

    make compare-pytest [ARGS="click humanize"]

Prints one line a suite and each item that differs; exit 1 if one does. Two differences that docs/results.md tells of do
not count: an item whose teardown failed is one result here and two there, and an item that was planned and did not run
is listed here and not there. Neither do items whose ids are longer than Assay keeps them, or that a suite itself makes
different in each run (`unstable`).
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.stack import Stack

from db.results import LONGEST_NAME

HERE = Path(__file__).resolve().parent
PYTEST = "pytest==8.3.5"
REQUIREMENTS = "compare-requirements.txt"
LIMIT = 900
CATEGORY = {
    ("passed", None): "passed",
    ("passed", "xpass"): "xpassed",
    ("failed", None): "failed",
    ("failed", "xpass"): "failed",
    ("failed", "error"): "error",
    ("skipped", None): "skipped",
    ("skipped", "xfail"): "xfailed",
    ("skipped", "not_run"): "not run",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A package whose sdist holds its tests, what they need besides, and arguments for pytest.

    `unstable`: the beginnings of node ids of items that differ between any two runs.
    """

    name: str
    version: str
    needs: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    unstable: tuple[str, ...] = ()

    @property
    def requirement(self) -> str:
        """The package as pip knows it."""
        return f"{self.name}=={self.version}"


SUITES = (
    Suite(name="attrs", version="24.2.0", needs=("hypothesis", "cloudpickle")),
    Suite(name="blinker", version="1.9.0", needs=("pytest-asyncio",)),
    # It strips the letters of its own absolute path from the names of files.
    Suite(name="boltons", version="24.1.0", unstable=("tests/test_fileutils.py::test_iter_find_files",)),
    Suite(name="cachetools", version="5.5.0"),
    Suite(name="click", version="8.1.8"),
    Suite(name="humanize", version="4.11.0", needs=("freezegun", "pytest-cov")),
    Suite(name="idna", version="3.10"),
    Suite(name="itsdangerous", version="2.2.0", needs=("freezegun",)),
    Suite(name="jinja2", version="3.1.5", needs=("trio",)),
    Suite(name="jsonschema", version="4.23.0"),
    Suite(name="markdown", version="3.7", needs=("pyyaml",)),
    # The time of the day is one of its parameters.
    Suite(
        name="marshmallow",
        version="3.24.1",
        needs=("simplejson",),
        unstable=("tests/test_deserialization.py::TestFieldDeserialization::test_invalid_datetime_deserialization[",),
    ),
    Suite(name="more-itertools", version="10.5.0"),
    Suite(name="packaging", version="24.2", needs=("pretend",)),
    Suite(name="pluggy", version="1.5.0"),
    Suite(name="pyparsing", version="3.2.1"),
    Suite(name="pyrsistent", version="0.20.0", needs=("hypothesis",)),
    Suite(name="python-dateutil", version="2.9.0.post0", needs=("freezegun", "hypothesis", "pytest-cov")),
    Suite(name="tabulate", version="0.9.0"),
    Suite(name="toolz", version="1.0.0"),
    Suite(name="wcwidth", version="0.2.13", needs=("pytest-cov",)),
    # Its development server restarts itself for ever here, also under plain pytest. Two ids have absolute paths.
    Suite(
        name="werkzeug",
        version="3.1.3",
        needs=("ephemeral-port-reserve", "watchdog", "pytest-timeout", "cryptography"),
        arguments=("--ignore=tests/test_serving.py",),
        unstable=("tests/test_send_file.py::test_from_directory[/", "tests/test_send_file.py::test_path[/"),
    ),
)


def unpacked(suite: Suite, folder: Path) -> Path:
    """Get the sdist of a suite and unpack it; return its top folder."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", suite.requirement]
    subprocess.run([*command, "-d", str(folder)], check=True)
    [sdist] = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    [top] = [each for each in folder.iterdir() if each.is_dir()]
    (top / REQUIREMENTS).write_text("\n".join([suite.requirement, PYTEST, *suite.needs, ""]))
    return top


def plain(suite: Suite, top: Path, folder: Path) -> dict[str, str]:
    """Run plain pytest in an environment of its own; return the category of each item."""
    python, record = folder / "plain/bin/python", folder / "record"
    subprocess.run([sys.executable, "-m", "uv", "venv", "-q", str(folder / "plain")], check=True)
    install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", str(python), "-r", REQUIREMENTS]
    subprocess.run(install, cwd=top, check=True)
    environment = {
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "CI": "true",
    }
    environment |= {"PYTHONPATH": str(HERE), "RECORD": str(record)}
    command = [str(python), "-m", "pytest", "-q", "-p", "pytest_recorder", "-p", "no:cacheprovider", *suite.arguments]
    subprocess.run(command, cwd=top, env=environment, capture_output=True, timeout=LIMIT, check=False)
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []  # it could not begin
    return dict(json.loads(line) for line in lines)


def ours(suite: Suite, top: Path, stack: Stack) -> tuple[dict[str, str], dict[str, Any]]:
    """Run a suite through Assay; return the category of each item, and the run."""
    test: dict[str, Any] = {
        "name": suite.name,
        "type": "pytest",
        "content": {"type": "local", "path": str(top)},
        "setup": {"requirements": REQUIREMENTS},
        "arguments": list(suite.arguments),
        "resources": {"cpuRequest": "500m", "memoryRequest": "256Mi"},
        "config": {"timeout": LIMIT},
    }
    file = top.parent / "suite.json"
    file.write_text(json.dumps(test))
    done = stack.assay("run", "--no-watch", str(file))
    if done.returncode:
        sys.exit(f"{suite.name}: {done.stderr}")
    [row] = stack.sql("SELECT execution_id FROM test_executions ORDER BY submitted_at DESC LIMIT 1")
    run = str(row["execution_id"])
    stack.ended(run, LIMIT + 300)
    found = {row["test_name"]: CATEGORY[(row["status"], row["kind"])] for row in stack.results(run)}
    return found, stack.rest("GET", f"/tests/{run}").json()


def compare(suite: Suite, stack: Stack) -> bool:
    """Print how a suite compares; return whether every item is equal."""
    with tempfile.TemporaryDirectory(prefix="assay-compare-") as name:
        folder = Path(name)
        top = unpacked(suite, folder)
        begun = time.monotonic()
        theirs = plain(suite, top, folder)
        between = time.monotonic()
        mine, run = ours(suite, top, stack)
        seconds = f"{between - begun:.0f} s plain, {time.monotonic() - between:.0f} s here, with their environments"
    mine = {item: category for item, category in mine.items() if category != "not run" or item in theirs}
    different = sorted(item for item in theirs.keys() | mine.keys() if theirs.get(item) != mine.get(item))
    different = [item for item in different if len(item) < LONGEST_NAME and not item.startswith(suite.unstable)]
    verdict = f"{run['status']} {run['failureReason'] or ''}".strip()
    print(f"{suite.requirement:28} {len(theirs):6} items, {len(different):4} differ, {verdict}; {seconds}", flush=True)
    for item in different[:20]:
        print(f"    {item}: plain {theirs.get(item)}, here {mine.get(item)}")
    return bool(theirs) and not different


def main() -> int:
    """Compare the suites that are named, or all."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="*", help="suites by name; all without")
    names = set(arguments.parse_args().names)
    stack = Stack(Path(tempfile.mkdtemp(prefix="assay-compare-stack-")))
    try:
        stack.start()
        equal = [compare(suite, stack) for suite in SUITES if not names or suite.name in names]
    finally:
        stack.stop()
    print(f"{sum(equal)} of {len(equal)} suites are equal, item for item")
    return 0 if equal and all(equal) else 1


if __name__ == "__main__":
    sys.exit(main())
