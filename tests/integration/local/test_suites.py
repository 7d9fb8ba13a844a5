"""Suites in environments of their own, from content to report, as the flow runs them."""

import hashlib
import io
import socket
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from harness.attempts import Bench, limited, output, places_of, running

from cluster.contents import ContentStore
from cluster.local import content, environments
from cluster.local.environment import Surroundings, environment
from cluster.local.environments import Site
from cluster.local.processes import ExitRecord
from cluster.local.unreachable import HostAwayError
from executors.registry import tool_for
from executors.tool import PYTHON_BASE as REQUIREMENTS
from model.content import ArtifactContent, InlineContent
from model.request import Setup, TestRequest, TestType
from model.result import Outcome, Report

OWN_PACKAGES = {
    "db/__init__.py": "NAME = 'theirs'\n",
    "tests/__init__.py": "",
    "tests/conftest.py": "import pytest\n@pytest.fixture\ndef name():\n    import db\n    return db.NAME\n",
    "tests/test_it.py": (
        "import os, subprocess, sys\n"
        "def test_own_packages(name): assert name == 'theirs'\n"
        "def test_nothing_of_ours():\n"
        "    import importlib.util as find\n"
        "    names = ('prefect', 'sqlalchemy', 'model', 'cluster', 'executors', 'flows', 'hypothesis')\n"
        "    assert [n for n in names if find.find_spec(n)] == []\n"
        "def test_own_environment():\n"
        "    assert os.environ['CI'] == 'true' and os.environ['GREETING'] == 'hello'\n"
        "    assert os.environ['HOME'].endswith('/home') and os.path.isdir(os.environ['ASSAY_RESULTS_DIR'])\n"
        "    assert not [n for n in os.environ if n.startswith(('PYTHON', 'PREFECT', 'DATABASE', 'UV_', 'VIRT'))]\n"
        "def test_python_by_name():\n"
        "    said = subprocess.check_output(['python', '-c', 'import sys; print(sys.prefix)'], text=True)\n"
        "    assert said.strip() == sys.prefix\n"
    ),
}


@pytest.fixture(scope="session")
def venvs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tmp_path_factory.mktemp("venvs"))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installer has no index to ask: it is offline, and its cache is empty."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")


def request(files: dict[str, str], requirements: str | None = None, path: str = ".") -> TestRequest:
    return TestRequest(
        name="suite", type=TestType.PYTEST, content=InlineContent(files=files, path=path),
        setup=Setup(requirements=requirements),
    )  # fmt: skip


def carried_out(bench: Bench, wanted: TestRequest, venvs: Path) -> tuple[ExitRecord, Report]:
    """Do what the flow does with a request."""
    spec = bench.spec("true", env={})
    spec.cwd.rmdir()
    placed = content.place(wanted.content, spec.cwd, content.Sources(contents=ContentStore(venvs)))
    requirements = content.entry(spec.cwd, wanted.setup.requirements) if wanted.setup.requirements else None
    python = environments.python_for(Site(venvs=venvs), requirements, REQUIREMENTS)
    folders = replace(places_of(spec), entry=placed.entry, python=python)
    tool = tool_for(wanted.type)
    command = tool.command(wanted)
    around = Surroundings(
        execution_id=spec.execution_id, attempt=1, home=folders.home, results=folders.results, python=folders.python
    )
    env = environment(around, command.env, {"GREETING": "hi"}, {"GREETING": "hello"})
    spec = limited(running(spec, command, folders), env=env, time_limit_seconds=60)  # type: ignore[arg-type]
    record = bench.run(spec)
    report = tool.read(wanted, folders.results)
    assert report.results or not report.finished or record.exit_code == 0, output(spec)[-2000:].decode()
    return record, report


def wheel(folder: Path, version: str = "1.0") -> Path:
    """Build the smallest wheel by hand: a library that nobody else has."""
    path = folder / f"rare_library-{version}-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    info = f"rare_library-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rare_library.py", f"VERSION = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: rare-library\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def packed(folder: Path, store: Path) -> str:
    """Pack a folder as the command does, and keep it as the API does."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(folder, arcname=".")
    sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
    (store / sha256).write_bytes(buffer.getvalue())
    return sha256


def test_a_suite_with_packages_named_like_ours_gets_its_own(bench: Bench, venvs: Path) -> None:
    record, report = carried_out(bench, request(OWN_PACKAGES), venvs)

    assert {r.name: (r.outcome, r.message) for r in report.results} == {
        f"tests/test_it.py::{name}": (Outcome.PASSED, "")
        for name in ("test_own_packages", "test_nothing_of_ours", "test_own_environment", "test_python_by_name")
    }
    assert record.exit_code == 0


def test_the_second_run_needs_no_network(bench: Bench, venvs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environments.python_for(Site(venvs=venvs), None, REQUIREMENTS)
    monkeypatch.setattr(environments, "find_uv_bin", lambda: pytest.fail("asked the installer again"))

    record, _ = carried_out(bench, request({"test_it.py": "def test_a(): pass\n"}), venvs)

    assert record.exit_code == 0


def test_a_library_that_only_the_suite_has_is_installed_from_a_relative_path(
    bench: Bench, venvs: Path, tmp_path: Path
) -> None:
    suite = tmp_path / "suite"
    wheel(suite / "wheels")
    (suite / "requirements.txt").write_text("./wheels/rare_library-1.0-py3-none-any.whl\n")
    (suite / "test_it.py").write_text("import rare_library\ndef test_a(): assert rare_library.VERSION == '1.0'\n")
    wanted = replace(request({"x": ""}, "requirements.txt"), content=ArtifactContent(sha256=packed(suite, venvs)))

    record, report = carried_out(bench, wanted, venvs)

    assert record.exit_code == 0
    assert [r.outcome for r in report.results] == [Outcome.PASSED]


def test_a_project_that_installs_itself_as_editable_outlives_the_run_that_built_it(
    tmp_path: Path, venvs: Path, no_network: None
) -> None:
    """The environment is shared and the run's folder is not kept: so nothing in the one may point to the other."""
    library = wheel(tmp_path / "elsewhere")
    project = tmp_path / "suite" / "project"
    project.mkdir(parents=True)
    (tmp_path / "suite" / "r.txt").write_text("-e ./project\n")
    (project / "backend.py").write_text(
        "import shutil, os\n"
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        f"    shutil.copy({str(library)!r}, folder)\n"
        f"    return os.path.basename({str(library)!r})\n"
        "def build_editable(*_): raise SystemExit('asked for an editable one')\n"
    )
    (project / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
        "[project]\nname = 'rare-library'\nversion = '1.0'\n"
    )
    python = environments.python_for(Site(venvs=venvs / "editable"), tmp_path / "suite" / "r.txt", _no_pytest(tmp_path))

    links = list(python.parents[1].glob("lib/python*/site-packages/*.pth"))
    assert [link.name for link in links if str(tmp_path / "suite") in link.read_text()] == []
    assert list(python.parents[1].glob("lib/python*/site-packages/rare_library.py"))


def test_the_same_words_about_another_wheel_make_another_environment(
    tmp_path: Path, venvs: Path, no_network: None
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("--no-index\n--find-links wheels\nrare-library\n")
    base = _no_pytest(tmp_path)
    wheel(tmp_path / "wheels", "1.0")
    first = environments.python_for(Site(venvs=venvs / "wheels"), requirements, base)
    again = environments.python_for(Site(venvs=venvs / "wheels"), requirements, base)
    wheel(tmp_path / "wheels", "2.0")

    second = environments.python_for(Site(venvs=venvs / "wheels"), requirements, base)

    assert first == again
    assert first != second
    assert list(second.parents[1].glob("lib/python*/site-packages/rare_library-2.0.dist-info"))


def test_requirements_that_cannot_be_met_are_told_in_the_installers_words(
    tmp_path: Path, venvs: Path, no_network: None
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("no-such-library-at-all==1.2.3\n")

    with pytest.raises(environments.BuildError, match="no-such-library-at-all"):
        environments.python_for(Site(venvs=venvs), requirements, REQUIREMENTS)


def test_a_registry_that_does_not_answer_is_not_the_fault_of_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    requirements = tmp_path / "requirements.txt"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens there
        # A registry of this test's own, which has just closed its port: nothing answers there.
        requirements.write_text(f"--index-url http://127.0.0.1:{closed.getsockname()[1]}/simple\nfoo==1\n")

        with pytest.raises(HostAwayError, match="Connection refused"):
            environments.python_for(Site(venvs=tmp_path / "venvs"), requirements, REQUIREMENTS)


def test_what_we_install_by_ourselves_is_not_the_fault_of_the_request(tmp_path: Path, no_network: None) -> None:
    base = tmp_path / "base.txt"
    base.write_text(f"no-such-library-at-all==1 --hash=sha256:{'0' * 64}\n")

    with pytest.raises(environments.OwnError, match="no-such-library-at-all"):
        environments.python_for(Site(venvs=tmp_path / "venvs"), None, base)


def test_requirements_that_are_not_there_are_told(tmp_path: Path, venvs: Path) -> None:
    with pytest.raises(environments.BuildError, match=r"no file requirements.txt"):
        environments.python_for(Site(venvs=venvs), tmp_path / "requirements.txt", REQUIREMENTS)


def test_an_installer_that_takes_too_long_is_ended_with_its_children(
    tmp_path: Path, venvs: Path, no_network: None
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "backend.py").write_text("import time\ntime.sleep(600)\n")
    (project / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
        "[project]\nname = 'slow'\ndynamic = ['version']\n"
    )
    (tmp_path / "requirements.txt").write_text("./project\n")

    with pytest.raises(environments.BuildError, match="more than 3 s"):
        environments.python_for(Site(venvs=venvs, patience=3), tmp_path / "requirements.txt", REQUIREMENTS)


def test_a_half_built_environment_is_built_anew(tmp_path: Path, venvs: Path, no_network: None) -> None:
    base = _no_pytest(tmp_path)
    python = environments.python_for(Site(venvs=tmp_path / "venvs"), None, base)
    (python.parents[1] / environments.COMPLETE).unlink()
    python.unlink()

    assert environments.python_for(Site(venvs=tmp_path / "venvs"), None, base).exists()


def test_many_who_want_the_same_environment_build_it_once(tmp_path: Path, no_network: None) -> None:
    base, site = _no_pytest(tmp_path), Site(venvs=tmp_path / "venvs")

    with ThreadPoolExecutor(4) as threads:
        pythons = set(threads.map(lambda _: environments.python_for(site, None, base), range(4)))

    assert len(pythons) == 1
    assert len([folder for folder in (tmp_path / "venvs").iterdir() if folder.is_dir()]) == 1


def _no_pytest(folder: Path) -> Path:
    """Return a basis with nothing in it, where pytest is not what is tested."""
    path = folder / "nothing.txt"
    path.write_text("")
    return path


def test_ready_says_whether_an_environment_is_there_and_makes_none(tmp_path: Path, no_network: None) -> None:
    base, missing = _no_pytest(tmp_path), tmp_path / "requirements.txt"

    before = environments.ready(tmp_path / "venvs", None, base)
    made = (tmp_path / "venvs").exists()
    python = environments.python_for(Site(venvs=tmp_path / "venvs"), None, base)

    assert (before, made) == (False, False)
    assert environments.ready(tmp_path / "venvs", None, base)
    assert not environments.ready(tmp_path / "venvs", missing, base)
    (python.parents[1] / environments.COMPLETE).unlink()
    assert not environments.ready(tmp_path / "venvs", None, base)
