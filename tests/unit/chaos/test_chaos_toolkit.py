"""Experiments of Chaos Toolkit: mapped with the same meaning, or refused by name; nothing is executed."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from chaos.experiment_reading import check_experiment
from chaos.imports.assembling import Options
from chaos.imports.chaos_toolkit import import_toolkit
from chaos.imports.collecting import Findings, configured
from chaos.imports.formats import import_documents, read_documents
from model.problems import InvalidError

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[2] / "data/chaos_toolkit.yaml").read_text())
MAPPED = [case for case in CASES if "is" in case]
REFUSED = [case for case in CASES if "refused" in case]


def test_there_are_ten_shapes() -> None:
    assert len(CASES) >= 10
    assert len(MAPPED) + len(REFUSED) == len(CASES)


@pytest.mark.parametrize("case", MAPPED, ids=lambda case: case["case"])
def test_an_experiment_is_mapped(case: dict[str, Any]) -> None:
    imported = import_toolkit(case["experiment"], "staging")
    experiment = check_experiment(imported.document)

    assert {
        "faults": [fault.type for fault in experiment.faults],
        "checks": [check.type for check in experiment.hypothesis.health_checks],
        "count": experiment.target.count,
        "seconds": experiment.duration.total_seconds(),
    } == case["is"]
    assert all(check.failures == 1 for check in experiment.hypothesis.health_checks)
    assert any("reverted always" in note for note in imported.notes)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["case"])
def test_what_has_no_counterpart_is_refused_by_name(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidError) as refused:
        import_toolkit(case["experiment"], "staging")

    problems = {problem.path: problem.message for problem in refused.value.problems}
    assert {path: case["refused"][path] for path in case["refused"] if path not in problems} == {}
    assert all(words in problems[path] for path, words in case["refused"].items())
    assert set(problems) == set(case["refused"])


def test_a_value_of_the_configuration_keeps_its_type() -> None:
    case = yaml.safe_load(yaml.safe_dump(MAPPED[0]["experiment"]))
    case["configuration"]["wanted"] = 204
    case["steady-state-hypothesis"]["probes"][0]["tolerance"] = "${wanted}"

    [check] = check_experiment(import_toolkit(case, "staging").document).hypothesis.health_checks

    assert check.status == 204
    assert check.url == "http://shop.example:8080/health"
    assert check.timeout_seconds == 8


def test_values_from_outside_have_their_default_or_are_given() -> None:
    """As `chaos run --var` does: a value that is given replaces that of the file."""
    case = yaml.safe_load(yaml.safe_dump(MAPPED[0]["experiment"]))
    case["configuration"]["url"] = {"type": "env", "key": "URL", "default": "http://default.example/"}

    usual, given = import_toolkit(case, "staging"), import_toolkit(case, "staging", None, {"url": "http://x.example/"})

    [check] = check_experiment(usual.document).hypothesis.health_checks
    assert check.url == "http://default.example/"
    assert any("--var url=VALUE" in note for note in usual.notes)
    [check] = check_experiment(given.document).hypothesis.health_checks
    assert check.url == "http://x.example/"


def test_a_number_that_is_given_is_a_number() -> None:
    case = yaml.safe_load(yaml.safe_dump(MAPPED[0]["experiment"]))
    case["method"][0]["provider"]["arguments"]["qty"] = "${pods}"

    with pytest.raises(InvalidError, match="give it by --var pods=VALUE"):
        import_toolkit(case, "staging")
    assert check_experiment(import_toolkit(case, "staging", None, {"pods": "3"}).document).target.count == 3
    with pytest.raises(InvalidError, match="must be a number"):
        import_toolkit(case, "staging", None, {"pods": "many"})


def noted(**action: object) -> tuple[str, ...]:
    case = yaml.safe_load(yaml.safe_dump(MAPPED[0]["experiment"]))
    case["method"][0] |= action
    return import_toolkit(case, "staging").notes


def test_what_is_not_the_same_is_noted() -> None:
    """A length that the file does not name, a pause that is too short, a probe without a timeout."""
    case = yaml.safe_load(yaml.safe_dump(MAPPED[0]["experiment"]))
    del case["steady-state-hypothesis"]["probes"][0]["provider"]["timeout"]

    assert any("60 s, or --seconds N" in note for note in noted(pauses={}))
    assert any("at least" in note for note in noted(pauses={"after": 2}))
    assert not any("at least" in note or "--seconds" in note for note in noted())
    assert any("without a timeout" in note for note in import_toolkit(case, "staging").notes)


@pytest.mark.parametrize(
    ("written", "read"),
    [("$$HOME", "$HOME"), ("$other", "$other"), ("$port", 8080), ("x${port}y", "x8080y"), ("foo$", "foo$")],
)
def test_names_are_replaced_as_chaos_toolkit_does(written: str, read: object) -> None:
    findings = Findings()

    assert configured(written, {"port": 8080}, (), findings) == read
    assert findings.problems == []


def test_json_that_is_indented_by_tabs_is_read() -> None:
    text = json.dumps(MAPPED[0]["experiment"], indent="\t")

    assert read_documents(text) == [MAPPED[0]["experiment"]]
    with pytest.raises(InvalidError, match="not valid YAML"):
        read_documents("{\n\t")


@pytest.mark.parametrize("raw", [None, [], "x", {}, {"title": 3}, {"method": "x"}, {"title": "t", "method": [None]}])
def test_no_document_makes_the_import_fail_otherwise(raw: object) -> None:
    with pytest.raises(InvalidError):
        import_toolkit(raw, "staging")


@pytest.mark.parametrize(
    "text",
    [
        "title: x\nmethod: &m [*m]",
        "apiVersion: litmuschaos.io/v1alpha1\nkind: ChaosEngine\nspec: &s {a: *s}",
        "title: x\n" + "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 9)}]" for n in range(9)),
    ],
    ids=["itself", "an object in itself", "a billion laughs"],
)
def test_a_file_that_contains_itself_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match=r"nested deeper|too large"):
        import_documents(read_documents(text), Options(cluster="staging"))


def test_a_timestamp_that_kubectl_wrote_is_no_mistake() -> None:
    text = """
    apiVersion: chaos-mesh.org/v1alpha1
    kind: PodChaos
    metadata: {name: kill, namespace: shop, creationTimestamp: 2026-01-31T10:00:00Z}
    spec: {action: pod-kill, mode: one, selector: {labelSelectors: {app: web}}}
    """
    options = Options(cluster="staging", health=("http://web.example/",))

    assert import_documents(read_documents(text), options).document["name"] == "kill"


@pytest.mark.parametrize("function", [{"func": ["a"]}, {"module": {}}, {"func": None}])
def test_a_function_that_is_no_name_is_refused(function: dict[str, object]) -> None:
    case = yaml.safe_load(yaml.safe_dump(MAPPED[0]["experiment"]))
    case["method"][0]["provider"] |= function

    with pytest.raises(InvalidError, match="is not imported"):
        import_toolkit(case, "staging")


@pytest.mark.parametrize(
    ("given", "count"), [(True, None), ("true", None), ("True", None), (False, 1), ("false", 1), (None, 1)]
)
def test_all_pods_are_meant_however_that_is_written(given: object, count: int | None) -> None:
    """`--var all=true` gives the word."""
    case = yaml.safe_load(yaml.safe_dump(MAPPED[0]["experiment"]))
    case["method"][0]["provider"]["arguments"]["all"] = given

    assert check_experiment(import_toolkit(case, "staging").document).target.count == count


def test_what_is_unclear_is_refused() -> None:
    case = yaml.safe_load(yaml.safe_dump(MAPPED[0]["experiment"]))
    case["method"][0]["provider"]["arguments"]["all"] = "most"
    case["method"][0]["provider"]["secrets"] = ["k8s"]
    case["steady-state-hypothesis"]["probes"][0]["provider"]["timeout"] = "soon"

    with pytest.raises(InvalidError) as refused:
        import_toolkit(case, "staging")

    assert {problem.path for problem in refused.value.problems} == {
        "method[0].provider.arguments.all",
        "method[0].provider.secrets",
        "steady-state-hypothesis.probes[0].provider.timeout",
    }
