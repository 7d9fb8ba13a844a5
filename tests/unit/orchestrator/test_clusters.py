"""What a cluster's row may say."""

from dataclasses import replace

import pytest

from db.clusters import ClusterRow
from orchestrator.clusters import check

IMAGE = f"registry.example:5000/a/b@sha256:{'0' * 64}"
GOOD = ClusterRow(name="lab-1", namespace="assay-tests", image=IMAGE, kubeconfig=None)


@pytest.mark.parametrize("kubeconfig", [None, "file:/home/me/.kube/config"])
def test_a_good_row_has_no_problem(kubeconfig: str | None) -> None:
    assert check(replace(GOOD, kubeconfig=kubeconfig)) == []


@pytest.mark.parametrize(
    ("row", "path"),
    [
        (replace(GOOD, name="-lab"), "name"),
        (replace(GOOD, name="a" * 64), "name"),
        (replace(GOOD, namespace="kube system"), "namespace"),
        (replace(GOOD, image=""), "image"),
        (replace(GOOD, image="-v"), "image"),
        (replace(GOOD, image="https://registry.example/python"), "image"),
        (replace(GOOD, image="python@sha256:00"), "image"),
        (replace(GOOD, kubeconfig="relative/path"), "kubeconfig"),
        (replace(GOOD, kubeconfig="file:relative"), "kubeconfig"),
        (replace(GOOD, kubeconfig="file:/a\0b"), "kubeconfig"),
    ],
)
def test_a_problem_has_the_path_of_its_field(row: ClusterRow, path: str) -> None:
    assert [problem.path for problem in check(row)] == [path]
