"""Makes the virtual environment of a test inside its pod: a program that the worker runs in the init container.

Usage: `install.py VENV BASE MODULE [REQUIREMENTS]`. The environment sees the packages of the image. `BASE` is installed
where neither the image nor `REQUIREMENTS` brings the package `MODULE`. Its last words are those of pip. It needs Python
3.10 with pip.
"""

import os
import subprocess
import sys

PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "--no-cache-dir")
INSTALL = ("install", "--retries", "1", "--timeout", "20")


def main(venv: str, base: str, module: str, requirements: str | None) -> int:
    """Make the environment. Return the exit code of the step that failed, 0 if none did."""
    python = f"{venv}/bin/python"
    steps = [[sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", venv]]
    if requirements is not None:
        os.chdir(os.path.dirname(requirements))  # noqa: PTH120  relative paths in requirements refer to their folder
        steps.append([python, *PIP, *INSTALL, "-r", requirements])
    for step in steps:
        if code := subprocess.run(step, check=False).returncode:
            return code
    if subprocess.run([python, "-c", f"import {module}"], check=False, stderr=subprocess.DEVNULL).returncode == 0:
        return 0
    return subprocess.run([python, *PIP, *INSTALL, "--require-hashes", "-r", base], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4] if sys.argv[4:] else None))
