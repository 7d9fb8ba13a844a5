"""Properties of documents: valid ones survive round trips, damaged or huge ones are refused, and nothing crashes."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from executors.registry import RULES
from model.definition import from_json, from_yaml, to_json, to_raw, to_yaml
from model.problems import InvalidError, Problem
from orchestrator.checking import check

DATA = yaml.load((Path(__file__).parents[1] / "data" / "bad_requests.yaml").read_text(), yaml.CSafeLoader)
VALID: dict[str, Any] = DATA["valid"]
FULL: dict[str, Any] = {
    **VALID,
    "setup": {"requirements": "requirements.txt"},
    "content": {"type": "inline", "files": {"tests/test_a.py": "", "requirements.txt": ""}, "path": "tests"},
    "arguments": ["-q"],
    "resources": {"cpuRequest": "1", "cpuLimit": 2, "memoryRequest": "1Gi", "memoryLimit": "2Gi", "gpuRequest": 1},
    "config": {
        "retryPolicy": {"maxRetries": 2, "retryConditions": ["timeout"]},
        "env": {"KEY": "${secrets.key}"},
        "volumes": [{"name": "a", "mountPath": "/a", "claim": "b"}],
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}],
        "affinity": {
            "required": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}],
            "preferred": [
                {"weight": 1, "preference": {"matchExpressions": [{"key": "n", "operator": "Gt", "values": ["1"]}]}}
            ],
        },
    },
    "tags": ["smoke"],
}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=3)
JSON_LIKE = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=3),
    max_leaves=8,
)
RAW: dict[str, Any] = {
    "name": "checkout",
    "type": "custom",
    "content": {"type": "git", "repository": "https://github.com/company/tests.git"},
    "command": ["sh", "run.sh"],
}
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
LABEL = st.from_regex(r"\A[a-z]([-a-z]{0,8}[a-z])?\Z")
VARIABLE = st.from_regex(r"\A[A-G]_[A-Z0-9]{1,5}\Z")
REQUESTS = st.fixed_dictionaries(
    {"name": LABEL, "type": st.just("custom"), "command": st.lists(TEXT.filter(bool), min_size=1, max_size=3)},
    optional={
        "priority": st.integers(0, 9),
        "tags": st.lists(LABEL, max_size=3, unique=True),
        "labels": st.dictionaries(LABEL, LABEL, max_size=3),
        "env": st.dictionaries(VARIABLE, TEXT.filter(lambda t: "${" not in t), max_size=3),
        "resources": st.fixed_dictionaries({}, optional={"cpuLimit": st.just(1.5), "gpuRequest": st.integers(0, 3)}),
        "config": st.fixed_dictionaries({}, optional={"timeout": st.integers(1, 99), "serviceAccount": LABEL}),
    },
).map(lambda raw: {**raw, "content": {"type": "inline", "files": {"a b.py": "x: \u2028\ttabs\n"}}})


@settings(max_examples=50, deadline=None)
@given(REQUESTS)
@example({**RAW, "command": ["\x85", "\u2028a", "\ufeff", "a\rb", "\x7f", "\U0001f600"]})
def test_a_request_is_equal_after_each_round_trip(raw: dict[str, Any]) -> None:
    request = check(raw)

    assert from_yaml(to_yaml(request), RULES) == request
    assert from_json(to_json(request)) == request
    assert check(to_raw(request)) == request


def test_the_full_request_is_valid() -> None:
    assert check(FULL).config.affinity.preferred[0].weight == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON_LIKE)
def test_random_input_raises_only_invalid_error(raw: object) -> None:
    with pytest.raises(InvalidError) as caught:
        check(raw)

    assert caught.value.problems


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_damaged_request_raises_only_invalid_error(data: st.DataObject) -> None:
    raw = copy.deepcopy(FULL)
    for _ in range(data.draw(st.integers(1, 4))):
        damage(raw, data)

    try:
        check(raw)
    except InvalidError as error:
        told = error.problems
        assert told
        assert len({(p.path, p.message) for p in told}) == len(told)


def damage(node: Any, data: st.DataObject) -> None:
    """Replace a random value inside `node` by a random one."""
    while isinstance(node, dict | list) and node:
        place: Any = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
        if not isinstance(node[place], dict | list) or not node[place] or data.draw(st.integers(0, 4)) == 0:
            node[place] = data.draw(JSON_LIKE)
            return
        node = node[place]


def test_nested_yaml_aliases_are_refused_without_expanding_them() -> None:
    bomb: object = "lol"
    for _ in range(30):
        bomb = [bomb] * 10
    with pytest.raises(InvalidError) as caught:
        check({**VALID, "tags": bomb})

    assert list(caught.value.problems) == [
        Problem(path="", message="is too large: at most 100,000 values and 8 MiB of text")
    ]
