"""The example of docs/suites.md is a suite that is accepted."""

from pathlib import Path

from model.document import read_yaml
from model.suite import Suite
from orchestrator.checking import check_file

PAGE = Path(__file__).parents[3] / "docs" / "suites.md"


def test_the_example_of_the_page_is_accepted() -> None:
    _, example, *_ = PAGE.read_text().split("```")

    suite = check_file(read_yaml(example.removeprefix("yaml\n")))

    assert isinstance(suite, Suite)
    assert [schedule.cron for schedule in suite.schedules] == ["30 2 * * 1-5", "@weekly", None]
