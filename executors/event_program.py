"""The program of an event test: `event_program.py PACKAGES FILE RESULTS [OPTION...]`.

It runs `events.run` of the Assay that is in the folder PACKAGES. What the test installs for itself cannot replace it.
"""

import sys


def main(packages: str, *words: str) -> int:
    """Run the test FILE, leave all its outputs in the folder RESULTS, and return the exit code of `events.run`."""
    sys.path.insert(0, packages)
    from events.run import main as run  # noqa: PLC0415  it is found only now

    file, results, *options = words
    return run([file, "--results", results, *options])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
