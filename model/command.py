"""How a tool is started, told without a path of any machine: only the backend knows where an attempt's files are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypeAlias


class Where(Enum):
    """A file or folder of an attempt, wherever its backend puts it."""

    WORK = "the folder that holds the content"
    ENTRY = "the first file or folder of the content that `content.path` names"
    PYTHON = "the interpreter of the test's own virtual environment"
    SUPPORT = "the tool's own file, see `Command.support`"
    RESULTS = "the folder for what the test leaves"
    PACKAGES = "the folder with the packages of Assay that `Command.packages` names"


Word: TypeAlias = str | Where


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program with its arguments.

    It starts in `folder`; if that is a file, in the folder that holds the file. `env` holds the variables that the tool
    needs besides those of the test. `support` is a file of Assay that the program reads: the backend makes it readable
    for the test, and puts its path where `argv` has `Where.SUPPORT`. `packages` are Python packages of Assay that the
    program imports; they are in the folder `Where.PACKAGES`.
    """

    argv: tuple[Word, ...]
    folder: Where = Where.WORK
    env: Mapping[str, str] = field(default_factory=dict)
    support: Path | None = None
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonEnvironment:
    """What a test's virtual environment holds.

    `requirements` is a pip requirements file inside the content. `base` is a file of Assay with pinned and hashed
    requirements: it is installed where `requirements` is missing or does not bring the package `module`.
    """

    base: Path
    requirements: str | None = None
    module: str = "pytest"
