"""Where the files of an attempt are inside its pod."""

from pathlib import Path

ROOT = "/assay"
"""The volume that all containers of the pod share."""
CHOSEN = f"{ROOT}/chosen"
"""A link to the prepared folder with which the test starts. It is made once: whoever comes second finds it there."""
RUN = f"{ROOT}/run"
"""Output, results, home, and the records of the shim."""
RESULTS = Path(RUN) / "results"
HOME = Path(RUN) / "home"
TEST, KEEPER, PREPARE = "test", "keeper", "prepare"
"""The containers: the test, the one that holds its results, and the one that waits for its content."""
USER = 10001
"""The user of all containers."""

_TERM = "import os, signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: os._exit(143)); "
WAIT = (
    _TERM
    + f"os.makedirs('{RESULTS}', exist_ok=True); os.makedirs('{HOME}', exist_ok=True)\n"
    + (f"while not os.path.islink('{CHOSEN}'): time.sleep(0.05)")
)
"""What the init container does: it waits until a worker has put everything in place.

It looks instead of being told: the standard library of Python cannot watch a file, and a pod has no credentials to ask.
"""
BEGIN = (
    f"import os, sys; stage = os.path.realpath('{CHOSEN}'); sys.path.append(stage + '/lib'); "
    f"from cluster.kubernetes.shim import main; main(stage, '{RUN}', sys.argv[1])"
)
"""What the test container does."""
KEEP = _TERM + (
    f"stage = os.path.realpath('{CHOSEN}'); sys.path.append(stage + '/lib'); "
    f"from cluster.kubernetes.keeper import main; main('{RUN}')"
)
"""What the keeper does: it prints what the test leaves, until its end."""
RECEIVE = f"""
import os, sys, tarfile
for number in range(1, 1000):
    stage = f'{ROOT}/{{number}}'
    try:
        os.mkdir(stage)
    except FileExistsError:
        continue
    break
class Piece:
    left = int(sys.argv[1])
    def read(self, size):
        piece = sys.stdin.buffer.read(min(size, self.left))
        self.left -= len(piece)
        return piece
tarfile.TarFile.extraction_filter = staticmethod(lambda member, path: member)
with tarfile.open(fileobj=Piece(), mode='r|gz') as archive:
    archive.extractall(stage)
print(stage)
"""
"""Unpacks what the worker sends into a folder of its own, and prints which. The worker packed it, so it is trusted."""
RELEASE = f"""
import os, sys
try:
    os.symlink(sys.argv[1], '{CHOSEN}')
except FileExistsError:
    pass
"""
"""Lets the test start with a prepared folder."""
STOP = "import os, signal; os.kill(1, signal.SIGTERM)"
"""Asks the shim to end its test."""


def python(program: str, *words: str) -> list[str]:
    """Return the command that runs a program by the image's own Python, without what a person has installed there."""
    return ["python3", "-I", "-S", "-c", program, *words]
