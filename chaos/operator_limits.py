"""What a fault may not ask of Litmus and Chaos Mesh: what they cannot express is refused, and never rounded.

Sources: the experiments of litmuschaos/chaos-charts, the types of chaos-mesh/chaos-mesh.
"""

from chaos.fault_types import (
    KILLS,
    ContainerKill,
    CpuStress,
    DiskIoStress,
    ExceptionInjection,
    Fault,
    NetworkLatency,
    NetworkPacketLoss,
    Parameters,
    PodDelete,
)

WHOLE = 100
GIGABYTE = 1024
LITMUS_STATUSES = frozenset({400, 401, 403, 404, 500, 501, 502, 503, 504})
NO_PORT = "needs to know the port of the target: set `port`"
PERCENT = "counts in whole percent"
ONE_SHOT = "kills the named pod one time, and cannot hold it down: set `once: true`"


def litmus_limit(fault: Fault) -> str | None:
    """Return why Litmus cannot do exactly this, None if it can."""
    if (
        isinstance(fault.parameters, PodDelete)
        and fault.parameters.grace_period_seconds != PodDelete().grace_period_seconds
    ):
        return "gives a pod its own grace period: leave out `gracePeriodSeconds`"
    return _kill_limit(fault) or _litmus_exception(fault.parameters) or _litmus_number(fault.parameters)


def chaos_mesh_limit(fault: Fault) -> str | None:
    """Return why Chaos Mesh cannot do exactly this, None if it can."""
    match fault.parameters:
        case ContainerKill(container=None):
            return "needs the name of the container: set `container`"
        case NetworkLatency(port=int()) | NetworkPacketLoss(port=int()):
            return "cannot choose a port: leave out `port`"
        case ExceptionInjection(port=None):
            return NO_PORT
        case ExceptionInjection(percent=percent) if percent != WHOLE:
            return "answers all requests or none: leave out `percent`"
        case CpuStress(load_percent=load) if load != int(load):
            return PERCENT
        case _:
            return _kill_limit(fault)


def _kill_limit(fault: Fault) -> str | None:
    return ONE_SHOT if fault.type in KILLS and not fault.once else None


def _litmus_exception(error: Parameters) -> str | None:
    match error:
        case ExceptionInjection(port=None):
            return NO_PORT
        case ExceptionInjection(path_prefix=prefix) if prefix != "/":
            return "cannot choose among paths: leave out `pathPrefix`"
        case ExceptionInjection(status=status) if status not in LITMUS_STATUSES:
            return f"answers only with {', '.join(map(str, sorted(LITMUS_STATUSES)))}"
        case ExceptionInjection(percent=percent) if percent != int(percent):
            return PERCENT
        case _:
            return None


def _litmus_number(parameters: Parameters) -> str | None:
    match parameters:
        case NetworkPacketLoss(percent=percent) | CpuStress(load_percent=percent) if percent != int(percent):
            return PERCENT
        case DiskIoStress(megabytes=size) if size % GIGABYTE:
            return "counts the size of files in whole gigabytes: megabytes must be 1024"
        case _:
            return None
