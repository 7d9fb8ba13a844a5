"""A tool run once on a folder, without a backend: what it left, and the verdict on it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from executors import pytest_report
from executors.junit import files
from executors.last_words import last_words
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


def run_pytest(work: Path, *arguments: str, entries: Sequence[str] = ()) -> ToolRun:
    """Run pytest with our plugin in a folder that no settings lie above."""
    results = work.parent / "results"
    chosen = [str(work), str(len(entries)), *entries]
    argv = [sys.executable, "-u", str(PLUGIN), *chosen, "-p", "no:cacheprovider", *arguments]
    code, output = _run(argv, work, results)
    report = pytest_report.read(results)
    verdict = _verdict(TestType.PYTEST, report, code, _said(work, output))
    return ToolRun(exit_code=code, report=report, verdict=verdict, output=output)


def run_custom(command: Sequence[str], work: Path, junit: str) -> ToolRun:
    """Run a program that writes JUnit files."""
    results = work.parent / "results"
    code, output = _run(command, work, results)
    report = files.read(junit, results)
    verdict = _verdict(TestType.CUSTOM, report, code, _said(work, output))
    return ToolRun(exit_code=code, report=report, verdict=verdict, output=output)


def _run(argv: Sequence[str], work: Path, results: Path) -> tuple[int, str]:
    results.mkdir()
    surroundings = {"PATH": os.defpath, "HOME": str(work.parent), "ASSAY_RESULTS_DIR": str(results), "LANG": "C.UTF-8"}
    done = subprocess.run(argv, cwd=work, env=surroundings, capture_output=True, check=False, text=True)
    return done.returncode, done.stdout + done.stderr


def _said(work: Path, output: str) -> str:
    """Return the last words, as a worker finds them in the file with the output."""
    file = work.parent / "output.log"
    file.write_text(output)
    return last_words(file)


def _verdict(type_: TestType, report: Report, code: int, said: str) -> Verdict:
    exit_code, signal = (code, None) if code >= 0 else (None, -code)
    ending = Ending(how=How.EXITED, exit_code=exit_code, signal=signal, detail=said)
    return judge(report, ending, tool_for(type_).verdict)
