"""A process is known by boot, number and start time; its group ends with it."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

from cli.stack.identity import alive, described, end, gone, identify, marked

SLEEP = (sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)")
AWAKE = (sys.executable, "-I", "-S", "-c", "import time; print(flush=True); time.sleep(60)")
"""Says when it runs: until then a new process still has the environment of the one that made it."""
IGNORE_SIGTERM = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(60)
"""
DEAF = (sys.executable, "-I", "-S", "-c", IGNORE_SIGTERM)


def test_a_process_is_alive_until_it_ends() -> None:
    with subprocess.Popen(SLEEP) as process:
        identity = identify(process.pid)
        assert identity is not None
        assert alive(identity)

        process.kill()
        assert gone([identity], 5.0)  # as a zombie: nobody has waited for it yet


def test_another_process_of_the_same_number_is_not_meant() -> None:
    """The kernel gives numbers away again; the start time and the boot tell the two apart."""
    own = identify(os.getpid())
    assert own is not None

    assert not alive(replace(own, start_time=own.start_time - 1))
    assert not alive(replace(own, boot_id="another boot"))


def test_a_group_that_ignores_sigterm_is_killed_with_all_its_children() -> None:
    with subprocess.Popen(DEAF, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        child = identify(int(process.stdout.readline()))
        leader = identify(process.pid)
        assert leader is not None
        assert child is not None

        end([leader], patience=0.2)

        assert process.wait() == -signal.SIGKILL
        assert gone([child], 5.0)


def test_a_process_is_found_by_the_mark_in_its_environment() -> None:
    mark = f"a folder with blanks {os.getpid()}"
    with subprocess.Popen(AWAKE, stdout=subprocess.PIPE, env={"ASSAY_STACK": mark}) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = [identity.pid for identity in marked("ASSAY_STACK", mark)]
        process.kill()

    assert found == [process.pid]


def test_a_process_is_described_by_its_command() -> None:
    text = described(os.getpid())

    assert f"process {os.getpid()}" in text
    assert "python" in text
