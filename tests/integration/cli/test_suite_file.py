from pathlib import Path

import pytest

from cli.failure import RefusedError, UsageError
from cli.suite_file import change, load
from model.request import TestRequest
from model.suite import Suite

TEST = "name: one\ntype: custom\ncommand: ['true']\ncontent: {type: inline, files: {a: b}}\n"
SUITE = f"name: all\ntests:\n- {TEST.replace(chr(10), chr(10) + '  ')}"


def written(folder: Path, text: str) -> Path:
    file = folder / "file.yaml"
    file.write_text(text)
    return file


def test_a_file_with_tests_is_a_suite_and_any_other_a_test(tmp_path: Path) -> None:
    assert isinstance(load(written(tmp_path, SUITE)), Suite)
    assert isinstance(load(written(tmp_path, TEST)), TestRequest)


def test_set_changes_a_test_and_every_test_of_a_suite(tmp_path: Path) -> None:
    test = load(written(tmp_path, TEST), ["config.timeout=5", "labels.team=shop", "env.N='1'", "command[0]='false'"])
    suite = load(written(tmp_path, SUITE), ["config.timeout=5", "name=other"])

    assert isinstance(test, TestRequest)
    assert (test.config.timeout, test.labels, test.env) == (5, {"team": "shop"}, {"N": "1"})
    assert isinstance(suite, Suite)
    assert (suite.name, suite.requests()[0].config.timeout, suite.requests()[0].name) == ("other", 5, "one")


@pytest.mark.parametrize(
    "setting", ["timeout", "=1", "a..b=1", "command[9]=x", "name.deeper[0]=x", "config.x={", "[0]=1"]
)
def test_a_setting_that_cannot_be_applied_is_refused(setting: str) -> None:
    document = {"name": "one", "command": ["true"], "config": {}}

    with pytest.raises(UsageError, match="--set"):
        change(document, setting)


def test_every_problem_is_told_at_its_place_in_the_file(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as one:
        load(written(tmp_path, TEST), ["priority=10", "config.timeout=0"])
    with pytest.raises(RefusedError) as many:
        load(written(tmp_path, SUITE), ["priority=10"])

    assert [problem.path for problem in one.value.problems] == ["config.timeout", "priority"]
    assert [problem.path for problem in many.value.problems] == ["tests[0].priority"]
    assert one.value.exit_code == 4


def test_a_file_that_cannot_be_read_is_the_callers_mistake(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe")

    for name in ("missing.yaml", "binary.yaml"):
        with pytest.raises(UsageError, match="cannot be read"):
            load(tmp_path / name)
    with pytest.raises(RefusedError):
        load(written(tmp_path, "a: [1"))
