"""Experiments of a test, run and watched through the command and REST."""

import json
from pathlib import Path
from typing import Any

import yaml

from chaos.experiment_states import Step
from harness.experiments import LocalShop
from harness.stack import Stack, until

ENDED_SECONDS = 90.0


def file_of(tmp_path: Path, experiment: dict[str, Any]) -> str:
    file = tmp_path / "experiment.yaml"
    file.write_text(yaml.safe_dump(experiment))
    return str(file)


def started(stack: Stack, tmp_path: Path, experiment: dict[str, Any]) -> str:
    answer = stack.assay("chaos", "run", file_of(tmp_path, experiment), "--no-watch")
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def run(stack: Stack, tmp_path: Path, experiment: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Run an experiment by the command; return its exit code and what it wrote."""
    answer = stack.assay("chaos", "run", file_of(tmp_path, experiment), "--json", timeout=ENDED_SECONDS)
    assert answer.stdout, answer.stderr
    return answer.returncode, json.loads(answer.stdout)


def shown(stack: Stack, execution: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.rest("GET", f"/chaos/executions/{execution}").json()
    return found


def in_step(stack: Stack, execution: str, step: Step) -> None:
    def there() -> bool:
        return bool((shown(stack, execution)["progress"] or {}).get("step") == step)

    until(f"{execution} in {step}", there, ENDED_SECONDS, 0.1)


def ended(stack: Stack, execution: str) -> dict[str, Any]:
    until(f"{execution} has ended", lambda: shown(stack, execution)["completedAt"], ENDED_SECONDS, 0.2)
    return shown(stack, execution)


def nothing_is_left(stack: Stack, shop: LocalShop) -> None:
    """No fault is open, no proxy has a rule, no service is held, no guard is alive, and no name is claimed."""
    assert stack.sql("SELECT fault_id FROM chaos_faults WHERE status <> 'reverted'") == []
    facts = shop.facts().services.values()
    assert [(one.rules, one.holds) for one in facts] == [((), ())] * len(facts)
    assert stack.sql("SELECT 1 FROM queue") == []
