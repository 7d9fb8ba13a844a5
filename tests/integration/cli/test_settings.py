"""docs/settings.md says what the code reads, all of it, with the defaults that it has."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from api import settings as api
from flows import settings as worker
from model.environment import EnvironmentSettings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "settings.md").read_text()
ROOMS = ("api", "cli", "cluster", "db", "events", "executors", "flows", "model", "orchestrator", "reports", "scheduler")
NAME = re.compile(r"\b(?:ASSAY_[A-Z_]*[A-Z]|DATABASE_URL)\b")
NEEDED = {"DATABASE_URL", "ASSAY_STATE"}
Read = Callable[[Mapping[str, str]], object]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "api-key").write_text("k" * 40)
    return {"DATABASE_URL": "postgresql://a/b", "ASSAY_STATE": str(tmp_path), "ASSAY_WORKER_NAME": "w"}


def documented(heading: str) -> dict[str, tuple[str, str]]:
    """The variables of one table, each with its default and its description as the page has them."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", section, re.MULTILINE)
    return {name: (default, description) for name, default, description in rows}


def test_every_variable_in_the_code_is_on_the_page_and_the_other_way_round() -> None:
    sources = [file for room in ROOMS for file in (ROOT / room).rglob("*.py")]
    in_code = {name for file in sources for name in NAME.findall(file.read_text())}

    assert in_code == set(NAME.findall(PAGE))


@pytest.mark.parametrize(("heading", "kind"), [("The worker", worker.Settings), ("The API", api.Settings)])
def test_what_a_part_reads_is_in_its_table_in_the_same_words(heading: str, kind: type[EnvironmentSettings]) -> None:
    fields = {str(field.validation_alias): field for field in kind.model_fields.values() if field.validation_alias}
    assert fields.keys() >= NEEDED

    told = {name: description for name, (_, description) in documented(heading).items()}
    assert told == {name: field.description for name, field in fields.items() if name not in NEEDED}


@pytest.mark.parametrize("kind", [worker.Settings, api.Settings])
def test_every_field_is_described(kind: type[EnvironmentSettings]) -> None:
    assert [name for name, field in kind.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("heading", "read"), [("The worker", worker.from_environment), ("The API", api.from_environment)]
)
def test_a_default_that_is_set_changes_nothing(heading: str, read: Read, environment: dict[str, str]) -> None:
    """Defaults in words are left out: they depend on the machine."""
    told = {name: default for name, (default, _) in documented(heading).items()}
    exact = {name: default for name, default in told.items() if re.fullmatch(r"`[^`]*`|none", default)}
    assert len(exact) >= 3

    for name, default in exact.items():
        assert read(environment | {name: "" if default == "none" else default.strip("`")}) == read(environment), name


def test_the_page_is_linked_from_where_people_look() -> None:
    assert "docs/settings.md" in (ROOT / "README.md").read_text()
    assert "settings.md" in (ROOT / "docs" / "commands.md").read_text()
