"""Tests of definitions: round trips, and the version."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from executors.registry import RULES
from model.definition import TestDefinition, define, from_json, to_json, version_of
from model.ids import DefinitionId, UserId
from model.problems import InvalidError
from orchestrator.checking import check

RAW: dict[str, Any] = {
    "name": "checkout",
    "type": "custom",
    "content": {"type": "git", "repository": "https://github.com/company/tests.git"},
    "command": ["sh", "run.sh"],
}
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_each_field_is_in_exactly_one_column() -> None:
    parts = to_json(check(RAW))

    assert list(parts) == ["name", "type", "content", "resources", "config", "run", "metadata"]
    assert set(parts["run"]) == {"command", "arguments", "setup", "env"}
    assert set(parts["metadata"]) == {"labels", "tags", "priority"}


def test_a_row_that_breaks_a_newer_rule_can_be_read() -> None:
    """Reading a row checks its fields, but not the rules across fields."""
    parts = to_json(check(RAW))
    parts["run"]["arguments"] = []
    del parts["run"]["command"]

    assert from_json(parts).command is None


def test_a_row_with_a_wrong_field_is_refused() -> None:
    parts = to_json(check(RAW))
    parts["config"]["timeout"] = "long"

    with pytest.raises(InvalidError, match=r"config\.timeout"):
        from_json(parts)


def test_the_order_of_keys_does_not_change_the_version() -> None:
    backwards = {key: RAW[key] for key in reversed(RAW)}
    backwards["content"] = {key: RAW["content"][key] for key in reversed(RAW["content"])}

    assert version_of(check(backwards)) == version_of(check(RAW))


def test_an_explicit_default_does_not_change_the_version() -> None:
    assert version_of(check({**RAW, "config": {"timeout": 3600}})) == version_of(check(RAW))


@pytest.mark.parametrize(
    "change",
    [
        {"content": {"type": "git", "repository": "https://github.com/company/other.git"}},
        {"content": {**RAW["content"], "branch": "next"}},
        {"content": {**RAW["content"], "path": "api"}},
        {"type": "pytest", "command": None},
        {"command": ["sh", "other.sh"]},
        {"arguments": ["-v"]},
        {"junit": "report.xml"},
        {"setup": {"requirements": "requirements.txt"}},
        {"env": {"A": "b"}},
        {"resources": {"cpuRequest": "1"}},
        {"resources": {"cpuLimit": "1"}},
        {"resources": {"memoryRequest": "1Gi"}},
        {"resources": {"memoryLimit": "1Gi"}},
        {"resources": {"ephemeralStorage": "1Gi"}},
        {"resources": {"gpuRequest": 1}},
        {"config": {"parallelism": 2}},
        {"config": {"timeout": 5}},
        {"config": {"retryPolicy": {"maxRetries": 1}}},
        {"config": {"retryPolicy": {"backoffSeconds": 1}}},
        {"config": {"retryPolicy": {"backoffStrategy": "fixed"}}},
        {"config": {"retryPolicy": {"retryConditions": []}}},
        {"config": {"env": {"A": "b"}}},
        {"config": {"volumes": [{"name": "a", "mountPath": "/a", "emptyDir": True}]}},
        {"config": {"serviceAccount": "a"}},
        {"config": {"nodeSelector": {"a": "b"}}},
        {"config": {"tolerations": [{"operator": "Exists"}]}},
        {"config": {"affinity": {"required": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}},
    ],
    ids=lambda change: "-".join(
        f"{key}.{next(iter(value))}" if isinstance(value, dict) else key for key, value in change.items()
    ),
)
def test_each_field_that_decides_what_is_run_changes_the_version(change: dict[str, Any]) -> None:
    assert version_of(check({**RAW, **change})) != version_of(check(RAW))


@pytest.mark.parametrize(
    "change", [{"name": "other"}, {"labels": {"a": "b"}}, {"tags": ["a"]}, {"priority": 1}], ids=str
)
def test_descriptive_fields_do_not_change_the_version(change: dict[str, Any]) -> None:
    assert version_of(check({**RAW, **change})) == version_of(check(RAW))


def definition() -> TestDefinition:
    return define(check(RAW), DefinitionId(UUID(int=1)), UserId(UUID(int=2)), NOON)


def test_a_definition_written_to_a_file_is_read_back_equal() -> None:
    assert TestDefinition.from_yaml(definition().to_yaml(), RULES) == definition()


def test_a_definition_whose_content_was_edited_is_refused() -> None:
    edited = definition().to_yaml().replace("run.sh", "other.sh")

    with pytest.raises(InvalidError, match="is not the version of this content"):
        TestDefinition.from_yaml(edited, RULES)


def test_problems_of_a_definition_have_paths_inside_its_test() -> None:
    edited = definition().to_yaml().replace("timeout: 3600", "timeout: 0")

    with pytest.raises(InvalidError) as caught:
        TestDefinition.from_yaml(edited, RULES)

    assert [p.path for p in caught.value.problems] == ["test.config.timeout"]


def test_a_definition_with_another_name_than_its_request_is_refused() -> None:
    with pytest.raises(ValueError, match="of request checkout"):
        TestDefinition(
            id=DefinitionId(UUID(int=1)),
            name="other",
            type=check(RAW).type,
            owner_id=UserId(UUID(int=2)),
            created_at=NOON,
            request=check(RAW),
            version="",
        )


def test_a_newer_field_does_not_change_the_version_while_it_has_its_default() -> None:
    """The digest was computed before `apart`, `spread`, `exclusive`, `restartable` and `image` existed."""
    first = "692dc9d8cb255a05ef68f6d6a3b4cc045978ebec3a2c8bf947a66fd315a2158f"
    given = [{"exclusive": ["printer"]}, {"restartable": True}, {"image": "python:3"}]

    assert version_of(check(RAW)) == first
    assert len({version_of(check({**RAW, "config": change})) for change in given} | {first}) == 4
