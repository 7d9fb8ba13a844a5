import pytest
from pydantic import Field

from model.environment import EnvironmentSettings
from model.problems import InvalidError


class Settings(EnvironmentSettings):
    """Settings of a test."""

    port: int = Field(default=1, validation_alias="TEST_PORT")


def test_a_variable_that_is_not_set_or_empty_leaves_the_default() -> None:
    assert [Settings.read(found).port for found in ({}, {"TEST_PORT": ""}, {"TEST_PORT": "7"})] == [1, 1, 7]


def test_a_problem_names_the_variable() -> None:
    with pytest.raises(InvalidError) as caught:
        Settings.read({"TEST_PORT": "seven", "OTHER": "x"})

    assert [problem.path for problem in caught.value.problems] == ["TEST_PORT"]
