"""`make cluster`: a cluster of kind where Docker is, and else one sentence that says what to do."""

import subprocess
from pathlib import Path

import pytest
from harness.stack import ROOT

PROGRAMS = ("sh", "mkdir", "rm", "grep", "cat", "pwd", "env")


def tools(folder: Path, **scripts: str) -> Path:
    """Make a folder with the programs that the script may find, and nothing else: the system's own, and fakes."""
    folder.mkdir()
    for name in PROGRAMS:
        found = next(path for path in (Path("/bin") / name, Path("/usr/bin") / name) if path.exists())
        (folder / name).symlink_to(found)
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return folder


def made(path: Path, state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": str(path), "ASSAY_STATE": str(state)}
    return subprocess.run(
        [str(path / "sh"), "deploy/cluster", *words], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("scripts", "words"),
    [
        ({}, "kind is not installed"),
        ({"kind": "exit 0"}, "neither Docker nor Podman answers here"),
        ({"kind": "exit 0", "docker": "exit 1"}, "neither Docker nor Podman answers here"),
    ],
    ids=["no kind", "no Docker", "Docker does not run"],
)
def test_without_kind_or_docker_it_says_what_to_do(tmp_path: Path, scripts: dict[str, str], words: str) -> None:
    done = made(tools(tmp_path / "bin", **scripts), tmp_path / "state")

    assert done.returncode == 1
    assert words in done.stderr
    assert "docs/kubernetes.md" in done.stderr
    assert done.stdout == ""


def test_with_both_it_makes_a_cluster_and_says_how_to_use_it(tmp_path: Path) -> None:
    said = tmp_path / "said"
    note = f'echo "$(basename "$0") $*" >> {said}'
    programs = tools(tmp_path / "bin", kind=note, docker=note, kubectl=note, basename='echo "${1##*/}"')

    done = made(programs, tmp_path / "state")

    assert done.returncode == 0, done.stderr
    config = tmp_path / "state" / "kind.kubeconfig"
    assert done.stdout == f"export KUBECONFIG={config}\n"
    assert f"assay cluster add assay --kubeconfig {config}" in done.stderr
    calls = said.read_text().splitlines()
    assert f"kind create cluster --name assay --kubeconfig {config} --wait 120s" in calls
    assert "kind load docker-image python:3.12 --name assay" in calls
    assert "kubectl apply -f deploy/kubernetes/rbac.yaml" in calls
