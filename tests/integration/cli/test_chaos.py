"""The commands for local services and for experiments that need no server."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.environments import free_ports, services_file

from cli import main

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "chaos" / "payments-killed.yaml"


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a short path, since the kernel takes no long ones for sockets."""
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        monkeypatch.setenv("ASSAY_STATE", f"{folder}/s")
        yield Path(folder)


def test_a_valid_experiment_is_written_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["chaos", "validate", str(EXAMPLE), "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["target"] == {"environment": "shop", "service": "payments", "labels": {}}


@pytest.mark.parametrize("file", sorted(EXAMPLE.parent.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_example_is_valid_and_can_be_rendered(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["chaos", "validate", str(file)]) == 0
    assert main.run(["chaos", "render", str(file)]) == 0

    assert all(list(yaml.safe_load_all(capsys.readouterr().out)))


def test_a_wrong_experiment_is_refused_with_all_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(EXAMPLE.read_text().replace("durationSeconds: 30", "durationSeconds: 0").replace("pod-kill", "x"))

    assert main.run(["chaos", "validate", str(wrong)]) == 4
    said = capsys.readouterr().err
    assert "durationSeconds: must be 5 or more" in said
    assert "faults[0].type: must be one of" in said


def test_every_fault_of_every_provider_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["chaos", "providers", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert len(told) == 40
    assert all(one["real"] for one in told if one["provider"] == "local")
    assert all(one["real"] != bool(one["refused"]) for one in told)


def test_without_services_there_is_no_plan(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["chaos", "plan", str(EXAMPLE)]) == 3
    assert "assay services up" in capsys.readouterr().err
    assert main.run(["services", "status", "shop"]) == 3


def test_services_go_up_are_planned_for_and_go_down(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = services_file(state, free_ports(1)[0])
    experiment = yaml.safe_load(EXAMPLE.read_text())
    experiment["target"] = {"environment": "test", "service": "payments"}
    good, refused = state / "good.yaml", state / "refused.yaml"
    good.write_text(yaml.safe_dump(experiment))
    refused.write_text(yaml.safe_dump({**experiment, "target": {"environment": "test", "service": "sleeper"}}))
    try:
        assert main.run(["services", "up", str(file), "--json"]) == 0
        started = json.loads(capsys.readouterr().out)
        assert main.run(["services", "up", str(file), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["pid"] == started["pid"]
        assert main.run(["chaos", "plan", str(good), "--json"]) == 0
        plan = json.loads(capsys.readouterr().out)
        assert main.run(["chaos", "plan", str(refused)]) == 4
        assert "has not opted in" in capsys.readouterr().err
    finally:
        assert main.run(["services", "down", "test", "--json"]) == 0
        stopped = json.loads(capsys.readouterr().out)["stopped"]

    assert stopped
    assert plan["claims"] == ["local/test/payments", "local/test/sleeper"]
    assert main.run(["services", "down", "test"]) == 0


def test_a_wrong_file_of_services_is_refused(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = state / "wrong.yaml"
    wrong.write_text("name: shop\nservices: []\n")

    assert main.run(["services", "up", str(wrong)]) == 4
    assert "services: must not be empty" in capsys.readouterr().err


def test_services_of_a_state_folder_with_a_long_path_run_and_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The kernel takes no path of a socket of more than 107 bytes."""
    monkeypatch.setenv("ASSAY_STATE", str(tmp_path / ("x" * 100)))

    assert main.run(["services", "up", str(services_file(tmp_path, free_ports(1)[0]))]) == 0
    assert main.run(["services", "down", "test"]) == 0
    assert "test is stopped" in capsys.readouterr().err


def in_a_cluster() -> dict[str, Any]:
    """Return the example of a slow service, aimed at a cluster."""
    raw: dict[str, Any] = yaml.safe_load((ROOT / "examples/chaos/payments-slow.yaml").read_text())
    checks = ("activeIncidents", "onCall", "recentDeployments", "systemHealth")
    raw["safetyChecks"] = {name: {"none": "a test"} for name in checks}
    raw["target"] = {"cluster": "c", "namespace": "shop", "service": "payments"}
    return raw


def test_a_fault_is_rendered_for_the_provider_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a server and without a cluster, and the same each time."""
    file = tmp_path / "slow.yaml"
    file.write_text(yaml.safe_dump(in_a_cluster()))
    written = []
    for provider in ("litmus", "chaos-mesh", "chaos-mesh"):
        assert main.run(["chaos", "render", str(file), "--provider", provider, "--pod", "payments-1"]) == 0
        written.append(capsys.readouterr().out)
    engine, mesh = yaml.safe_load(written[0]), yaml.safe_load(written[1])

    assert engine["spec"]["selectors"] == {"pods": [{"namespace": "shop", "names": "payments-1"}]}
    assert (mesh["kind"], mesh["spec"]["selector"]) == ("NetworkChaos", {"pods": {"shop": ["payments-1"]}})
    assert written[1] == written[2]
    assert main.run(["chaos", "render", str(file), "--provider", "kubernetes"]) == 4
    assert main.run(["chaos", "render", str(file), "--provider", "nobody"]) == 4
    assert main.run(["chaos", "render", str(ROOT / "examples/chaos/payments-slow.yaml")]) == 0


def test_an_experiment_of_chaos_toolkit_is_imported_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is written is a valid experiment; the notes are for people, and not part of it."""
    cases = yaml.safe_load((ROOT / "tests/data/chaos_toolkit.yaml").read_text())
    good, bad = (next(case for case in cases if key in case)["experiment"] for key in ("is", "refused"))
    file = tmp_path / "toolkit.json"
    file.write_text(json.dumps(good))
    assert main.run(["chaos", "import", str(file), "--cluster", "staging", "--seconds", "45"]) == 0
    written = capsys.readouterr()
    ours = tmp_path / "ours.yaml"
    ours.write_text(written.out)
    assert main.run(["chaos", "validate", str(ours)]) == 0
    capsys.readouterr()

    assert yaml.safe_load(written.out)["durationSeconds"] == 45
    assert "note: " in written.err
    file.write_text(json.dumps(bad))
    assert main.run(["chaos", "import", str(file), "--cluster", "staging"]) == 4
    assert "method: begins a fault" in capsys.readouterr().err


def test_objects_of_litmus_and_chaos_mesh_are_imported_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `render` writes for a provider is read by `import`, which asks for what a manifest does not hold."""
    file = tmp_path / "experiment.yaml"
    file.write_text(yaml.safe_dump(in_a_cluster()))
    assert main.run(["chaos", "render", str(file), "--provider", "chaos-mesh", "--pod", "payments-1"]) == 0
    manifests = tmp_path / "manifests.yaml"
    manifests.write_text(capsys.readouterr().out)
    ask = ["chaos", "import", str(manifests), "--cluster", "staging"]
    assert main.run(ask) == 4
    told = capsys.readouterr().err
    assert "spec.selector.pods: names pods" in told
    assert "by --health URL" in told

    assert main.run([*ask, "--target", "app=payments", "--health", "http://shop.example/"]) == 0
    ours = yaml.safe_load(capsys.readouterr().out)
    file.write_text(yaml.safe_dump(ours))
    assert main.run(["chaos", "validate", str(file)]) == 0
    capsys.readouterr()

    assert [fault["provider"] for fault in ours["faults"]] == ["chaos-mesh"]
    assert ours["target"]["labels"] == {"app": "payments"}
    assert main.run([*ask, "--target", "payments"]) == 4
    assert main.run([*ask, "--health", "nowhere"]) == 4
