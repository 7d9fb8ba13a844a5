"""Reads the file of an experiment for a command."""

from pathlib import Path
from typing import TYPE_CHECKING

from cli.failure import UsageError

if TYPE_CHECKING:
    from chaos.experiment import Experiment


def read_experiment(file: Path) -> "Experiment":
    """Return the experiment of a file. Raises: UsageError with all problems."""
    from chaos.experiment_reading import experiment_from_yaml  # noqa: PLC0415
    from model.problems import InvalidError  # noqa: PLC0415

    try:
        return experiment_from_yaml(file.read_text(encoding="utf-8"))
    except InvalidError as error:
        lines = "\n".join(f"  {problem.path or '(whole)'}: {problem.message}" for problem in error.problems)
        raise UsageError(f"{file} is not valid:\n{lines}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
