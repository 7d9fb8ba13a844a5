"""docs/settings.md says what the code reads, all of it, with the defaults that it has."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from api import settings as api
from flows import settings as worker

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "settings.md").read_text()
ROOMS = ("api", "cli", "cluster", "db", "executors", "flows", "model", "orchestrator", "reports", "scheduler")
NAME = re.compile(r"\b(?:ASSAY_[A-Z_]*[A-Z]|DATABASE_URL)\b")
NEEDED = {"DATABASE_URL", "ASSAY_STATE"}
Read = Callable[[Mapping[str, str]], object]


class Recording(Mapping[str, str]):
    """An environment that notes what is asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "api-key").write_text("k" * 40)
    return {"DATABASE_URL": "postgresql://a/b", "ASSAY_STATE": str(tmp_path), "ASSAY_WORKER_NAME": "w"}


def documented(heading: str) -> dict[str, str]:
    """The variables of one table, each with its default as the page has it."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE))


def test_every_variable_in_the_code_is_on_the_page_and_the_other_way_round() -> None:
    sources = [file for room in ROOMS for file in (ROOT / room).rglob("*.py")]
    in_code = {name for file in sources for name in NAME.findall(file.read_text())}

    assert in_code == set(NAME.findall(PAGE))


@pytest.mark.parametrize(
    ("heading", "read"), [("The worker", worker.from_environment), ("The API", api.from_environment)]
)
def test_what_a_part_reads_is_in_its_table(heading: str, read: Read, environment: dict[str, str]) -> None:
    recording = Recording(environment)

    read(recording)

    assert recording.asked - NEEDED == set(documented(heading))


@pytest.mark.parametrize(
    ("heading", "read"), [("The worker", worker.from_environment), ("The API", api.from_environment)]
)
def test_a_default_that_is_set_changes_nothing(heading: str, read: Read, environment: dict[str, str]) -> None:
    """Defaults in words are left out: they depend on the machine."""
    exact = {name: told for name, told in documented(heading).items() if re.fullmatch(r"`[^`]*`|none", told)}
    assert len(exact) >= 3

    for name, told in exact.items():
        assert read(environment | {name: "" if told == "none" else told.strip("`")}) == read(environment), name


def test_the_page_is_linked_from_where_people_look() -> None:
    assert "docs/settings.md" in (ROOT / "README.md").read_text()
    assert "settings.md" in (ROOT / "docs" / "commands.md").read_text()
