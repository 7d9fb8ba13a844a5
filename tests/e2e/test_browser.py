"""The Prefect UI in a real browser: the form of `test-run`, filled in by hand, ends in a verdict."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.stack import Stack, until
from playwright.sync_api import Locator, Page, sync_playwright

pytestmark = pytest.mark.faults

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BY_HAND = """
SELECT e.execution_id FROM test_executions e JOIN test_definitions d ON d.id = e.definition_id WHERE d.name = 'by hand'
"""
FILES = '{"test_by_hand.py": "def test_by_hand(): pass"}'


@pytest.fixture
def page() -> Iterator[Page]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        assert not os.environ.get("CI"), "CI must have Chromium: apt-get install chromium"
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser.new_page(viewport={"width": 1300, "height": 2200})
        browser.close()


def prop(page: Page, label: str) -> Locator:
    """A field of the form, by what stands above it; the first of that name is the test's own."""
    header = page.locator(f'.schema-form-property__label:text-is("{label}")').first
    return header.locator('xpath=ancestor::div[contains(concat(" ", @class, " "), " schema-form-property ")][1]')


def test_the_form_filled_in_by_hand_ends_in_a_verdict(stack: Stack, page: Page, tmp_path: Path) -> None:
    deployment = stack.prefect("GET", "/deployments/name/test-run/default")["id"]
    page.goto(f"{stack.prefect_url.removesuffix('/api')}/deployments/deployment/{deployment}/run")
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
