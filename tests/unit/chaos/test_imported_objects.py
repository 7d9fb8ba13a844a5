"""Files of Litmus and Chaos Mesh: mapped with the same meaning, or refused by name; nothing is executed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from chaos.experiment import Experiment
from chaos.experiment_reading import check_experiment
from chaos.imports.assembling import Options
from chaos.imports.formats import import_documents
from model.document import read_yaml_documents
from model.problems import InvalidError

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[2] / "data/chaos_objects.yaml").read_text())
MAPPED = [case for case in CASES if "is" in case]
REFUSED = [case for case in CASES if "refused" in case]


def options(case: dict[str, Any]) -> Options:
    given = case.get("options", {})
    return Options(
        cluster="staging",
        count=given.get("count"),
        labels=given.get("labels", {}),
        health=tuple(given.get("health", ())),
    )


def imported(case: dict[str, Any]) -> Experiment:
    return check_experiment(import_documents(read_yaml_documents(case["file"]), options(case)).document)


def test_each_case_says_what_becomes_of_it() -> None:
    assert len(MAPPED) >= 10
    assert len(MAPPED) + len(REFUSED) == len(CASES)


@pytest.mark.parametrize("case", MAPPED, ids=lambda case: case["case"])
def test_a_file_is_mapped(case: dict[str, Any]) -> None:
    experiment = imported(case)

    schedule = experiment.schedule.recurring[0] if experiment.schedule else None
    seen: dict[str, Any] = {
        "faults": [fault.type for fault in experiment.faults],
        "order": experiment.order,
        "lengths": [fault.duration_seconds for fault in experiment.faults],
        "checks": [check.type for check in experiment.hypothesis.health_checks],
        "count": experiment.target.count,
    }
    assert seen == {key: case["is"][key] for key in seen}
    assert {fault.provider for fault in experiment.faults} == {case["is"]["provider"]}
    for key, value in case["is"].get("schedule", {}).items():
        assert getattr(schedule, key) == value


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["case"])
def test_what_has_no_counterpart_is_refused_by_name_and_all_at_once(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidError) as refused:
        imported(case)

    problems = {problem.path: "" for problem in refused.value.problems}
    for problem in refused.value.problems:
        problems[problem.path] += problem.message + "\n"
    wanted = case["refused"]
    assert {path: words for path, words in wanted.items() if words not in problems.get(path, "")} == {}, problems
    assert set(problems) == set(wanted)


def case_named(words: str) -> dict[str, Any]:
    return next(case for case in CASES if words in case["case"])


def test_the_values_of_a_file_are_kept() -> None:
    """Defaults come from the experiment in the file, a probe keeps its times, a comparison its limits."""
    slow = imported(case_named("defaults of the experiment"))
    limits = imported(case_named("each comparison")).hypothesis.health_checks

    assert (slow.faults[0].parameters.latency_ms, slow.faults[0].parameters.port) == (450, 8080)  # type: ignore[union-attr]
    [check] = slow.hypothesis.health_checks
    assert (check.failures, check.interval_seconds, check.timeout_seconds) == (2, 2, 5)
    assert [(one.above, one.below) for one in limits] == [(0.5, None), (None, 3), (0, 0), (3, 1)]


def test_a_parameter_of_a_workflow_is_given() -> None:
    asked = Options(cluster="staging", count=2, variables={"app": "market"})
    with pytest.raises(InvalidError, match="aims at other targets"):
        import_documents(read_yaml_documents(case_named("demo of an earlier version")["file"]), asked)


def test_probes_of_one_name_get_names_of_their_own_and_keep_their_times() -> None:
    checks = imported(case_named("demo of an earlier version")).hypothesis.health_checks

    assert [(one.name, one.failures) for one in checks] == [("page", 3), ("page 2", 3), ("rate", 2)]
    assert (checks[0].timeout_seconds, checks[0].interval_seconds) == (0.5, 1)


def test_a_status_check_that_aborts_is_a_halt_condition() -> None:
    experiment = imported(case_named("status check that aborts"))

    assert [(one.health_check, one.failures) for one in experiment.halt_conditions] == [("watch", 4)]


def test_names_of_pods_need_a_label() -> None:
    """Pods have other names tomorrow, so a target is chosen by labels."""
    raw = {
        "apiVersion": "chaos-mesh.org/v1alpha1",
        "kind": "PodChaos",
        "metadata": {"name": "named"},
        "spec": {"action": "pod-kill", "mode": "all", "selector": {"pods": {"shop": ["web-1"]}}},
    }
    asked = Options(cluster="staging", labels={"app": "web"}, health=("http://web.example/",))

    experiment = check_experiment(import_documents([raw], asked).document)

    assert (experiment.target.namespace, experiment.target.labels) == ("shop", {"app": "web"})


def test_what_a_file_leaves_out_is_told() -> None:
    made = import_documents(
        read_yaml_documents(case_named("workflow of the portal")["file"]), Options(cluster="staging")
    )

    assert any("Templates that install experiments or delete engines are left out" in note for note in made.notes)
    assert any("whatever their mode is" in note for note in made.notes)


@pytest.mark.parametrize("kind", ["Serial", "Parallel"])
@pytest.mark.parametrize(
    "last",
    [
        {
            "templateType": "PodChaos",
            "podChaos": {"action": "pod-kill", "mode": "one", "selector": {"labelSelectors": {"a": "b"}}},
        },
        {
            "templateType": "StatusCheck",
            "abortWithStatusCheck": True,
            "statusCheck": {"type": "HTTP", "http": {"url": "http://a/"}},
        },
    ],
)
def test_a_workflow_of_doubled_templates_does_not_explode(kind: str, last: dict[str, Any]) -> None:
    """Each template names the next one twice: a file of 40 lines would ask for 2**40 faults, or health checks."""
    raw = workflow([{"templateType": kind, "children": [f"t{number + 1}"] * 2} for number in range(40)], last)

    with pytest.raises(InvalidError, match=r"10|no fault"):
        import_documents([raw], Options(cluster="staging", health=("http://web.example/",)))


def test_templates_that_stand_too_deep_are_refused_and_do_not_crash() -> None:
    inner = [{"templateType": "Serial", "children": [f"t{number + 1}"]} for number in range(5000)]
    raw = workflow(inner, {"templateType": "Suspend", "deadline": "10s"})

    with pytest.raises(InvalidError, match="'t50' stands in 50 templates"):
        import_documents([raw], Options(cluster="staging", health=("http://web.example/",)))


def workflow(inner: list[dict[str, Any]], last: dict[str, Any]) -> dict[str, Any]:
    """Return a workflow of the templates t0, t1 and so on. It begins with the first one."""
    templates = [{"name": f"t{number}"} | template for number, template in enumerate([*inner, last])]
    return {
        "apiVersion": "chaos-mesh.org/v1alpha1",
        "kind": "Workflow",
        "spec": {"entry": "t0", "templates": templates},
    }


def test_a_file_of_too_many_steps_is_refused_where_it_stands_and_not_cut_off() -> None:
    """Whatever is left of it would be another experiment."""
    kill = {"action": "pod-kill", "mode": "one", "selector": {"labelSelectors": {"a": "b"}}}
    templates: list[dict[str, Any]] = [
        {"name": "all", "templateType": "Serial", "children": ["kill", *["rest"] * 41]},
        {"name": "kill", "templateType": "PodChaos", "podChaos": kill},
        {"name": "rest", "templateType": "Suspend", "deadline": "10s"},
    ]
    spec = {"entry": "all", "templates": templates}
    raw = {"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "Workflow", "spec": spec}
    asked = Options(cluster="staging", health=("http://web.example/",))

    with pytest.raises(InvalidError) as refused:
        import_documents([raw], asked)
    templates[0]["children"] = ["kill", *["rest"] * 39]
    longest = check_experiment(import_documents([raw], asked).document)

    [problem] = refused.value.problems
    assert problem.path == "spec.templates[1].podChaos"
    assert "is one of more than 40 faults and pauses in turn" in problem.message
    assert longest.faults[0].duration_seconds == 390


@pytest.mark.parametrize(
    "raw", [[None], [{}], [], [{"apiVersion": 3}], [{"apiVersion": "argoproj.io/v1alpha1", "kind": []}, 4]]
)
def test_no_documents_make_the_import_fail_otherwise(raw: list[object]) -> None:
    with pytest.raises(InvalidError):
        import_documents(raw, Options(cluster="staging"))


def test_options_of_objects_are_refused_for_chaos_toolkit() -> None:
    with pytest.raises(InvalidError, match="--health"):
        import_documents([{"title": "t"}], Options(cluster="staging", health=("http://x.example/",)))
