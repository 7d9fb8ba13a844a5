"""A tool run once on a folder, without a backend: what it left, and the verdict on it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from executors import pytest_report
from executors.junit import files
from executors.pytest_tool import PLUGIN
from executors.registry import tool_for
from model.ending import Ending, How
from model.execution import Verdict
from model.final_results import final_results
from model.request import TestType
from model.result import Report, Result
from model.verdict import judge


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRun:
    """The end of one run: its report, its verdict, and all results as they are recorded."""

    exit_code: int
    report: Report
    verdict: Verdict
    output: str

    @property
    def results(self) -> tuple[Result, ...]:
        """All results, also of what did not end or did not begin."""
        return final_results(self.report, self.verdict)

    @property
    def told(self) -> dict[str, str]:
        """Return each result's kind, or its outcome where that says all, by name."""
        return {result.name: str(result.kind or result.outcome) for result in self.results}


def run_pytest(work: Path, *arguments: str) -> ToolRun:
    """Run pytest with our plugin in a folder that no settings lie above."""
    results = work.parent / "results"
    argv = [sys.executable, "-u", str(PLUGIN), str(work), "-p", "no:cacheprovider", *arguments, str(work)]
    code, output = _run(argv, work, results)
    report = pytest_report.read(results)
    return ToolRun(exit_code=code, report=report, verdict=_verdict(TestType.PYTEST, report, code), output=output)


def run_custom(command: Sequence[str], work: Path, junit: str) -> ToolRun:
    """Run a program that writes JUnit files."""
    results = work.parent / "results"
    code, output = _run(command, work, results)
    report = files.read(junit, results)
    return ToolRun(exit_code=code, report=report, verdict=_verdict(TestType.CUSTOM, report, code), output=output)


def _run(argv: Sequence[str], work: Path, results: Path) -> tuple[int, str]:
    results.mkdir()
    surroundings = {"PATH": os.defpath, "HOME": str(work.parent), "ASSAY_RESULTS_DIR": str(results), "LANG": "C.UTF-8"}
    done = subprocess.run(argv, cwd=work, env=surroundings, capture_output=True, check=False, text=True)
    return done.returncode, done.stdout + done.stderr


def _verdict(type_: TestType, report: Report, code: int) -> Verdict:
    ending = Ending(how=How.EXITED, exit_code=code if code >= 0 else None, signal=-code if code < 0 else None)
    return judge(report, ending, tool_for(type_).verdict)
