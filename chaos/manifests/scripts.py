"""The scripts of a stress inside of the target's container, for any POSIX shell.

A script ends, and everything that it started, when its input ends: when the connection to the guard is lost. `timeout`
ends it too. It says what its cgroup uses before and under the stress (version 1 and 2), one line a second:
`use SECONDS CPU MEMORY`, in seconds, microseconds and bytes. What it starts has the mark of the fault in its variables.
Source of the paths: https://docs.kernel.org/admin-guide/cgroup-v1/ and .../cgroup-v2.html
"""

import shlex

from chaos.fault_types import CpuStress, DiskIoStress, MemoryStress, Parameters
from chaos.manifests.naming import fault_name
from chaos.provider import FaultId

MARK = "ASSAY_FAULT"
GRACE_SECONDS = 5
"""So long after its time a script ends that no guard has ended."""
PERIOD_SECONDS = 0.2
LARGEST_PIECE = 1024
"""Megabytes that one `dd` holds: a single read gives at most 2 GiB."""
KEPT_PERCENT = 10
"""This share of what is free below the limit of the container's memory stays free."""

_PROLOGUE = """\
G=/sys/fs/cgroup
use() {
read -r up rest </proc/uptime
if [ -f $G/cpu.stat ]; then
cpu=0; while read -r k v; do [ "$k" = usage_usec ] && cpu=$v; done <$G/cpu.stat
read -r mem <$G/memory.current || mem=0; read -r max <$G/memory.max || max=max
else
read -r cpu <$G/cpuacct/cpuacct.usage || cpu=0; cpu=$((cpu/1000))
read -r mem <$G/memory/memory.usage_in_bytes || mem=0; read -r max <$G/memory/memory.limit_in_bytes || max=max
fi 2>/dev/null
}
marked() { for p in /proc/[0-9]*; do n=${p#/proc/}; [ $n = $$ ] || { grep -qs MARK $p/environ && echo $n; }; done; }
clean() { for i in 1 2 3; do for n in $(marked); do kill -9 $n 2>/dev/null; done; done; }
"""
_EPILOGUE = """\
echo begin
while :; do sleep 1; use; echo "use $up $cpu $mem"; done &
over() { clean; FILES; exit 0; }
trap over TERM
cat <&3 >/dev/null &
wait $!
over
"""
_FREE = """\
case $max in max) max=99999999999999;; esac
[ $max -lt 9000000000000 ] || {
echo problem this container has no limit of its memory: set one, or the node is at stake; exit 1; }
[ $(((max - mem) / 100 * (100 - KEPT))) -ge $((MEGABYTES * 1048576)) ] || {
echo problem MEGABYTES MB do not fit: $(((max - mem) / 1048576)) MB are free below the limit, and KEPT% of it stay free
exit 1; }
"""
_DUTY = """\
sleep 0.01 2>/dev/null || { echo problem the sleep of this image takes no fractions: use loadPercent 100; exit 1; }
sleep 0.3
burn=
for n in $(marked); do
case $(tr '\\0' ' ' 2>/dev/null </proc/$n/cmdline) in "sh -c while"*) burn="$burn $n";; esac
done
while :; do kill -STOP $burn; sleep REST; kill -CONT $burn; sleep WORK; done 2>/dev/null &
"""


def stress(stress: Parameters, seconds: int, fault: FaultId) -> tuple[str, ...]:
    """Return the command that puts a container under stress. Raises: ValueError if it is no stress."""
    files = f"rm -f {_file(stress, fault)}*" if isinstance(stress, DiskIoStress) else ":"
    script = _prologue(fault) + _BASE + _body(stress, seconds, fault) + _EPILOGUE.replace("FILES", files)
    return ("timeout", str(seconds + GRACE_SECONDS), "env", _mark(fault), "sh", "-c", "exec 3<&0\n" + script)


def clean(parameters: Parameters, fault: FaultId) -> tuple[str, ...]:
    """Return the command that ends what is left of a stress, and prints the processes that it could not end."""
    files = f"rm -f {_file(parameters, fault)}*\n" if isinstance(parameters, DiskIoStress) else ""
    return ("sh", "-c", _prologue(fault) + "clean\n" + files + "marked\nexit 0\n")


_BASE = 'use; echo "use $up $cpu $mem"; sleep 1; use; echo "use $up $cpu $mem"\n'


def _prologue(fault: FaultId) -> str:
    return _PROLOGUE.replace("MARK", _mark(fault))


def _mark(fault: FaultId) -> str:
    return f"{MARK}={fault_name(fault)}"


def _file(stress: DiskIoStress, fault: FaultId) -> str:
    folder = shlex.quote((stress.path or "/tmp").rstrip("/"))  # noqa: S108  in the container
    return f"{folder}/assay-fault-{fault_name(fault)}-"


def _body(stress: Parameters, seconds: int, fault: FaultId) -> str:
    match stress:
        case CpuStress():
            return _cpu(stress, seconds)
        case MemoryStress():
            return _memory(stress, seconds)
        case DiskIoStress():
            return _disk(stress, fault)
        case _:
            raise ValueError(f"{type(stress).__name__} is no stress")


def _cpu(stress: CpuStress, seconds: int) -> str:
    burner = f"timeout {seconds} sh -c 'while :; do :; done' &\n"
    work = PERIOD_SECONDS * stress.load_percent / 100
    duty = _DUTY.replace("WORK", f"{work:.3f}").replace("REST", f"{PERIOD_SECONDS - work:.3f}")
    return burner * stress.workers + ("" if stress.load_percent >= 100 else duty)  # noqa: PLR2004  all of the time


def _memory(stress: MemoryStress, seconds: int) -> str:
    # A `dd` reads its whole block into memory, and then waits for a reader that never reads.
    check = _FREE.replace("MEGABYTES", str(stress.megabytes)).replace("KEPT", str(KEPT_PERCENT))
    whole, rest = divmod(stress.megabytes, LARGEST_PIECE)
    pieces = [LARGEST_PIECE] * whole + ([rest] if rest else [])
    hold = "timeout {s} dd if=/dev/zero bs={m}M count=1 2>/dev/null | timeout {s} sleep {s} &\n"
    return check + "".join(hold.format(s=seconds, m=piece) for piece in pieces)


def _disk(stress: DiskIoStress, fault: FaultId) -> str:
    file = _file(stress, fault)
    check = f": 2>/dev/null >{file}0 || {{ echo problem {file}0 cannot be written; exit 1; }}\n"
    write = f"dd if=/dev/zero of={file}$i bs=1M count={stress.megabytes} conv=fsync 2>/dev/null"
    loop = f"( while {write}; do echo wrote {stress.megabytes}; done ) &\n"
    workers = " ".join(map(str, range(stress.workers)))
    return check + f"for i in {workers}; do\n{loop}done\n"
