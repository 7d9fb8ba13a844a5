"""Make the pictures of the README from a real stack: `PYTHONPATH=.:tests .venv/bin/python docs/pictures/make.py`.

The names of pictures as arguments make only these: terminal, run, experiment.
"""
# ruff: noqa: INP001  a script, no package

import contextlib
import fcntl
import io
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from pathlib import Path

from harness.browser import sign_in
from harness.stack import PREFECT_CREDENTIAL, ROOT, Stack
from playwright.sync_api import FloatRect, Page, sync_playwright
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
SUITES = ("smoke", "inventory", "payments", "flaky-and-failing")
COLUMNS, LINES = 100, 40
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
USEFUL: FloatRect = {"x": 256, "y": 8, "width": 944, "height": 504}
"""The page without its menu and without what stands below the graph."""
REPORT: FloatRect = {"x": 80, "y": 20, "width": 1040, "height": 950}
"""The report of an experiment from its verdict to what its objectives were."""
LARGEST_PNG = 120_000
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
CONTROL = re.compile(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)")


def main(wanted: list[str]) -> None:
    """Start a stack, take the pictures, end the stack."""
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        stack = Stack(Path(folder) / "stack")
        try:
            stack.start()
            if not wanted or {"terminal", "run"} & {*wanted}:
                run_samples(stack)
                draw_terminal(stack, HERE / "terminal.svg")
                photograph(stack, flow_run_of_checkout(stack), HERE / "run.png")
            if not wanted or "experiment" in wanted:
                photograph_report(report_of_experiment(stack, Path(folder) / "report.html"), HERE / "experiment.png")
        finally:
            stack.stop()


def run_samples(stack: Stack) -> None:
    """Run all suites but `orders`, which the picture of the terminal runs."""
    for name in SUITES:
        stack.assay("run", f"examples/suites/{name}.yaml")


def flow_run_of_checkout(stack: Stack) -> str:
    """Return the flow run of a test of `orders`, ended in Prefect's eyes too."""
    found = stack.sql(
        "SELECT e.execution_id, e.flow_run_id FROM test_executions e JOIN test_definitions d ON d.id = e.definition_id"
        " WHERE d.name = 'checkout'"
    )[0]
    stack.settled(str(found["execution_id"]))
    return str(found["flow_run_id"])


# -- the terminal -------------------------------------------------------------------------------------------------


def draw_terminal(stack: Stack, to: Path) -> None:
    """Save what a person sees who runs a suite and lists the runs."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for command in ("run examples/suites/orders.yaml --watch", "list"):
        console.print(Text.assemble(("$ ", "dim"), (f"assay {command}", "bold")))
        console.print(Text.from_ansi(on_screen(of_terminal(stack, command.split()))))
        console.print()
    svg = FONTS.sub("", console.export_svg(title="assay", unique_id="assay"))  # they are fetched from elsewhere
    to.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")


def of_terminal(stack: Stack, arguments: list[str]) -> str:
    """Run the command in a terminal of its own and return all that it wrote to it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    wanted = {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(LINES)}
    environment = {key: value for key, value in stack.environment().items() if key != "NO_COLOR"} | wanted
    command = [sys.executable, "-m", "cli.main", *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        written = b"".join(iter(lambda: some_of(ours), b""))
    os.close(ours)
    return written.decode().replace(f"{ROOT}/", "")  # a reader's clone is elsewhere


def some_of(terminal: int) -> bytes:
    """Read what is there; a terminal that nobody writes to any more answers with an error."""
    with contextlib.suppress(OSError):
        return os.read(terminal, 65536)
    return b""


def on_screen(written: str) -> str:
    """Return what is left on the screen in the end: progress is drawn over itself, line by line, upwards."""
    lines, row = [""], 0
    for piece in CONTROL.split(written):
        if piece == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif up := re.fullmatch(r"\x1b\[(\d*)A", piece):
            row = max(0, row - int(up[1] or 1))
        elif piece != "\r" and not piece.startswith("\x1b[?"):
            lines[row] += piece
    return "\n".join(lines).rstrip()


# -- Prefect's page -----------------------------------------------------------------------------------------------


def photograph(stack: Stack, flow_run_id: str, to: Path) -> None:
    """Save the useful part of Prefect's page of a flow run."""
    with browser_page(height=520) as page:
        pages = stack.prefect_url.removesuffix("/api")
        sign_in(page, pages, PREFECT_CREDENTIAL)
        page.goto(f"{pages}/runs/flow-run/{flow_run_id}")
        take(page, to)
    refuse_large(to)


@contextlib.contextmanager
def browser_page(height: int) -> Iterator[Page]:
    """Open an empty page in a browser, and close it."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser.new_page(viewport={"width": 1200, "height": height})
        browser.close()


def refuse_large(picture: Path) -> None:
    """End with an error if a picture is too large for the repository."""
    if (size := picture.stat().st_size) > LARGEST_PNG:
        raise SystemExit(f"{picture} has {size} bytes, more than {LARGEST_PNG}: crop it")


def take(page: Page, to: Path) -> None:
    """Wait for the graph, then take the picture."""
    page.locator("canvas").first.wait_for(timeout=60_000)
    page.wait_for_timeout(6_000)  # the graph is drawn on a canvas: nothing in the page says when it stands
    page.screenshot(path=to, clip=USEFUL)


# -- the report of an experiment ----------------------------------------------------------------------------------


def report_of_experiment(stack: Stack, to: Path) -> Path:
    """Run an experiment on the services of the shop; return its report."""
    up = stack.assay("services", "up", "examples/shop/services.yaml", timeout=120)
    if up.returncode != 0:
        raise SystemExit(up.stderr)
    try:
        stack.assay("chaos", "run", "examples/chaos/payments-slow.yaml", timeout=300)
        [run] = stack.sql("SELECT execution_id FROM chaos_executions")
        stack.assay("chaos", "report", str(run["execution_id"]), "--output", str(to))
    finally:
        stack.assay("services", "down", "shop", timeout=60)
    return to


def photograph_report(report: Path, to: Path) -> None:
    """Save the part of a report that tells what happened."""
    with browser_page(height=1100) as page:
        page.goto(report.as_uri())
        page.screenshot(path=to, clip=REPORT)
    refuse_large(to)


if __name__ == "__main__":
    main(sys.argv[1:])
