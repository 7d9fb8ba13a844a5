"""Keeps a process alive: starts it, and starts it again when it dies, with growing pauses."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from cli.stack.console import Console
from cli.stack.heartbeat import DOWN, HANGS, READY, RESTART_AFTER, STARTING, Beats, Pulse, judged
from cli.stack.identity import Identity, identify
from cli.stack.proxies import past_proxies
from cli.stack.state import PROJECT, rotate
from model.backoff import Backoff

PARENT_DEATH = Path(__file__).with_name("parent_death.py")
BACKOFF = Backoff(first=0.5, longest=30.0)
SETTLED = 60.0
"""Seconds of life after which the next death counts as the first one again."""
HEALTH_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program of the stack. `healthy` checks whether it can be used; it may take `patience` seconds to end.

    A server inherits `listener` as an open file; the supervisor keeps it over restarts. `beats` checks a process for a
    heartbeat; without it a process that hangs is not noticed.
    """

    name: str
    title: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    healthy: Callable[[], bool]
    patience: float
    listener: socket.socket | None = None
    beats: Beats | None = None


@dataclass(slots=True, kw_only=True)
class Part:
    """One program, kept alive by `tick`.

    Only the main thread calls `tick`: the kernel sends the death signal when the thread that forked the child ends.
    """

    program: Program
    console: Console
    process: subprocess.Popen[bytes] | None = None
    identity: Identity | None = None
    restarts: int = 0
    state: str = STARTING
    pulse: Pulse = field(default_factory=Pulse)
    _failures: int = 0
    _next: float = 0.0
    _since: float = field(default=0.0)
    _killed: Identity | None = None

    @property
    def name(self) -> str:
        """The part's short name."""
        return self.program.name

    def tick(self, now: float) -> bool:
        """Start the process if it does not run and its pause is over; return whether anything changed."""
        if self.process is not None:
            return self._reap(now)
        if now < self._next:
            return False
        self._start(now)
        return True

    def judge(self, now: float) -> float | None:
        """Update `state`, and kill a process that hangs for too long. `tick` then starts it again.

        Returns: the seconds since its last heartbeat, None if it has given none.
        """
        silence = self.pulse.silence(self.identity, now)
        before, self.state = self.state, DOWN if self.process is None else judged(silence)
        if self.state == HANGS and before != HANGS:
            self.console.say(f"{self.program.title}: hangs, no heartbeat for {silence:.0f} s")
        if self.state == READY and before == HANGS:
            self.console.say(f"{self.program.title}: works again")
        if silence is not None and silence >= RESTART_AFTER:
            self._kill(silence)
        return silence

    def end_of_log(self, lines: int = 15) -> str:
        """Return the last lines that the process wrote."""
        try:
            text = self.program.log.read_bytes()[-8192:].decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])

    def _start(self, now: float) -> None:
        rotate(self.program.log)
        listener = self.program.listener
        with self.program.log.open("ab") as log:
            self.process = subprocess.Popen(
                (sys.executable, "-I", "-S", str(PARENT_DEATH), str(os.getpid()), *self.program.command),
                env=dict(self.program.environment),
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(listener.fileno(),) if listener else (),
            )
        self.identity = identify(self.process.pid)
        self._since = now

    def _kill(self, silence: float) -> None:
        """Kill a process that hangs, and only once, since it may take a moment to end."""
        if self.process is not None and self._killed != self.identity:
            self._killed = self.identity
            self.console.say(f"{self.program.title}: killed, no heartbeat for {silence:.0f} s")
            self.process.kill()

    def _reap(self, now: float) -> bool:
        process = self.process
        if process is None or process.poll() is None:
            return False
        self._failures = 1 if now - self._since > SETTLED else self._failures + 1
        self.restarts += 1
        pause = BACKOFF.pause(self._failures)
        self._next = now + pause
        self.process, self.identity = None, None
        how = ended_how(process.returncode)
        self.console.say(f"{self.program.title}: ended ({how}); starting it again in {pause:.1f} s")
        return True


def serving(listener: socket.socket, factory: str) -> tuple[str, ...]:
    """Return the command that serves the application of `factory` on `listener`."""
    return (sys.executable, "-m", "cli.stack.serve", str(listener.fileno()), factory)


def ended_how(code: int) -> str:
    """Return an exit code in words."""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the part of the caller's environment that the processes of the stack inherit.

    Settings of another Prefect or another stack are left out. So is PYTHONDONTWRITEBYTECODE, with which every start
    would compile everything again. A proxy is not used for the stack's own servers.
    """
    dropped = (
        "PREFECT_",
        "ASSAY_URL",
        "ASSAY_API_KEY",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONHOME",
        "PYTHONSTARTUP",
        "VIRTUAL_ENV",
    )
    kept = {name: value for name, value in environment.items() if not name.startswith(dropped)}
    return {**kept, **past_proxies(environment), "PYTHONUNBUFFERED": "1"}


def answers(address: str, credential: str | None = None) -> bool:
    """Return whether the server at this address reports that it is healthy. `credential` is `user:password`."""
    basic = httpx.BasicAuth(*credential.split(":", 1)) if credential else None
    try:
        return httpx.get(address, auth=basic, timeout=HEALTH_TIMEOUT, trust_env=False).is_success
    except httpx.HTTPError:
        return False
