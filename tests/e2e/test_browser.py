"""The Prefect UI in a real browser: the form of `test-run`, filled in by hand, ends in a verdict."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.browser import open_page, sign_in
from harness.stack import PREFECT_CREDENTIAL, Stack, until
from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.faults

BY_HAND = """
SELECT e.execution_id FROM test_executions e JOIN test_definitions d ON d.id = e.definition_id WHERE d.name = 'by hand'
"""
FILES = '{"test_by_hand.py": "def test_by_hand(): pass"}'


@pytest.fixture
def page(stack: Stack) -> Iterator[Page]:
    """A browser that has signed in."""
    with open_page() as page:
        sign_in(page, pages_of(stack), PREFECT_CREDENTIAL)
        yield page


def pages_of(stack: Stack) -> str:
    return stack.prefect_url.removesuffix("/api")


def prop(page: Page, label: str) -> Locator:
    """A field of the form, by what stands above it; the first of that name is the test's own."""
    header = page.locator(f'.schema-form-property__label:text-is("{label}")').first
    return header.locator('xpath=ancestor::div[contains(concat(" ", @class, " "), " schema-form-property ")][1]')


def test_the_form_filled_in_by_hand_ends_in_a_verdict(stack: Stack, page: Page, tmp_path: Path) -> None:
    deployment = stack.prefect("GET", "/deployments/name/test-run/default")["id"]
    page.goto(f"{pages_of(stack)}/deployments/deployment/{deployment}/run")
    page.get_by_text("InlineContent", exact=True).click(timeout=60_000)
    prop(page, "Name").locator("textarea").fill("by hand")
    prop(page, "Type").locator("button.p-select-button__control").focus()
    page.keyboard.press("Space")
    page.locator(".p-select-option").filter(has_text="pytest").click()
    prop(page, "Files").locator("textarea").fill(FILES)
    page.screenshot(path=tmp_path / "filled.png", full_page=True)
    page.get_by_role("button", name="Submit").click()

    rows = until("the run", lambda: stack.sql(BY_HAND), 60)
    row = stack.ended(str(rows[0]["execution_id"]))
    state = stack.settled(str(rows[0]["execution_id"]))

    assert row["status"] == "completed"
    assert state["type"] == "COMPLETED"


def test_the_form_of_the_sample_experiment_is_whole_as_it_stands(stack: Stack, page: Page) -> None:
    """Whatever the page sends for fields that nobody filled in, only the shop is missing, which does not run here."""
    deployment = stack.prefect("GET", "/deployments/name/chaos-experiment/shop-sample")["id"]
    page.goto(f"{pages_of(stack)}/deployments/deployment/{deployment}/run")
    prop(page, "Duration seconds").locator("input").fill("25", timeout=60_000)
    page.get_by_role("button", name="Submit").click()

    body = {"deployments": {"id": {"any_": [deployment]}}}
    flow_runs = until("the flow run", lambda: stack.prefect("POST", "/flow_runs/filter", json=body), 60)
    state = stack.flow_ended(flow_runs[0]["id"])

    assert flow_runs[0]["parameters"]["experiment"]["durationSeconds"] == 25
    assert (state["type"], state["name"]) == ("FAILED", "Refused")
    assert state["message"].splitlines()[1:] == [
        "no supervisor answers in shop; `assay services up FILE` starts one"
    ], state["message"]


def test_a_wrong_password_shows_nothing(stack: Stack) -> None:
    """The page asks again, and none of the server's data is on it."""
    with open_page() as page:
        page.goto(f"{pages_of(stack)}/runs")
        page.locator("input[type=password]").fill("a guess")
        page.keyboard.press("Enter")
        page.get_by_text("Authentication failed").first.wait_for(timeout=60_000)

        assert "/login" in page.url
        assert "test-run" not in page.content()
