"""The test request: what a client asks to run."""

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from model.config import ExecutionConfig
from model.content import LocalContent, TestContent
from model.fields import FORBID, EnvName, EnvValue, LabelKey, LabelValue, Name, Priority, RelativePath, Tag
from model.resources import ResourceRequirements

DEFAULT_PRIORITY = 5


class TestType(StrEnum):
    """The tool that runs the tests, as in `test_definitions.type`."""

    __test__ = False

    SELENIUM = "selenium"
    CYPRESS = "cypress"
    POSTMAN = "postman"
    K6 = "k6"
    PLAYWRIGHT = "playwright"
    PYTEST = "pytest"
    EVENT = "event"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is installed before a run. `requirements` is a pip requirements file in the content."""

    __pydantic_config__ = FORBID

    requirements: Annotated[RelativePath | None, Field(description="A pip requirements file in the content")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFields:
    """The fields of every test, whatever the type of its content."""

    __pydantic_config__ = FORBID

    name: Annotated[Name, Field(description="Name for people")]
    type: Annotated[TestType, Field(description="Tool that runs the test")]
    command: Annotated[
        tuple[Annotated[str, Field(max_length=4096)], ...] | None,
        Field(min_length=1, max_length=100, description="Program and arguments; required for custom"),
    ] = None
    arguments: Annotated[
        tuple[Annotated[str, Field(max_length=4096)], ...],
        Field(max_length=100, description="Further arguments of the tool"),
    ] = ()
    junit: Annotated[
        RelativePath | None,
        Field(description="custom: the JUnit file that it writes, or a pattern of files, in $ASSAY_RESULTS_DIR"),
    ] = None
    setup: Annotated[Setup, Field(description="What is installed before a run")] = field(default_factory=Setup)
    resources: Annotated[
        ResourceRequirements, Field(description="What the run needs of a node, as Kubernetes quantities")
    ] = field(default_factory=ResourceRequirements)
    config: Annotated[ExecutionConfig, Field(description="How the run is executed")] = field(
        default_factory=ExecutionConfig
    )
    labels: Annotated[
        dict[LabelKey, LabelValue],
        Field(max_length=50, description="Labels to find the run by"),
    ] = field(default_factory=dict)
    env: Annotated[
        dict[EnvName, EnvValue],
        Field(max_length=200, description="Environment variables; ${secrets.name} stands for a secret"),
    ] = field(default_factory=dict)
    tags: Annotated[tuple[Tag, ...], Field(max_length=50, description="Words to find the run by")] = ()
    priority: Priority = DEFAULT_PRIORITY


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRequest(RequestFields):
    """A valid test to run.

    `orchestrator.checking.check` makes it from data that comes from outside.
    """

    __test__ = False

    content: Annotated[TestContent, Field(discriminator="type", description="Where the tests come from")]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTest(RequestFields):
    """A test whose content is a folder beside its suite file.

    `with_content` makes a request of it once the folder was uploaded.
    """

    content: LocalContent


def with_content(test: RequestFields, content: TestContent) -> TestRequest:
    """Return `test` as a request with `content`. All other fields stay."""
    return TestRequest(content=content, **{f.name: getattr(test, f.name) for f in fields(RequestFields)})
