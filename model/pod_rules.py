"""The rules across the fields of a request that concern its pod: where volumes lie, whose they are, where it connects.

They hold in every cluster. What a single cluster allows is in `model.pod_policy`.
"""

from collections.abc import Iterator

from model.lenient import items, mapping, text
from model.problems import Finding, Location

RESERVED_PATHS = ("/assay", "/dev", "/proc", "/run/secrets", "/sys", "/tmp", "/var/run/secrets")  # noqa: S108  of the pod
"""Where no volume may be mounted: there are Assay's own, those of the kernel, and those of credentials."""
VOLUMES_OF_ASSAY = frozenset({"assay", "tmp"})
SECRET_OF_A_RUN = "assay-"  # noqa: S105  a prefix of names
SYSTEM_CLASS = "system-"
"""Kubernetes keeps priority classes of this prefix for parts of the cluster."""


def _mounts_hide_nothing(raw: dict[str, object]) -> Iterator[Finding]:
    for position, entry in enumerate(items(mapping(raw.get("config")).get("volumes"))):
        path = text(mapping(entry).get("mountPath"))
        for reserved in RESERVED_PATHS:
            if path and (f"{path}/".startswith(f"{reserved}/") or reserved.startswith(f"{path}/")):
                message = f"must not lie over or in {reserved}: choose a folder of your own, such as /data"
                yield Finding(location=("config", "volumes", position, "mountPath"), message=message)


def _volumes_are_not_those_of_assay(raw: dict[str, object]) -> Iterator[Finding]:
    for position, entry in enumerate(items(mapping(raw.get("config")).get("volumes"))):
        if text(mapping(entry).get("name")) in VOLUMES_OF_ASSAY:
            message = "is the name of a volume of Assay itself: choose another one"
            yield Finding(location=("config", "volumes", position, "name"), message=message)


def _secrets_are_not_those_of_a_run(raw: dict[str, object]) -> Iterator[Finding]:
    for position, entry in enumerate(items(mapping(raw.get("config")).get("volumes"))):
        if text(mapping(entry).get("secret")).startswith(SECRET_OF_A_RUN):
            message = f"must not begin with {SECRET_OF_A_RUN!r}: such a Secret belongs to a run"
            yield Finding(location=("config", "volumes", position, "secret"), message=message)


def _priority_is_not_that_of_the_system(raw: dict[str, object]) -> Iterator[Finding]:
    if text(mapping(raw.get("config")).get("priorityClass")).startswith(SYSTEM_CLASS):
        message = f"must not begin with {SYSTEM_CLASS!r}: such classes are for parts of the cluster"
        yield Finding(location=("config", "priorityClass"), message=message)


def _targets_are_addresses_or_pods(raw: dict[str, object]) -> Iterator[Finding]:
    network = mapping(mapping(raw.get("config")).get("network"))
    for position, entry in enumerate(items(network.get("targets"))):
        location: Location = ("config", "network", "targets", position)
        target = mapping(entry)
        labels = bool(mapping(target.get("podLabels")) or mapping(target.get("namespaceLabels")))
        if isinstance(entry, dict) and labels == (target.get("cidr") is not None):
            yield Finding(location=location, message="must have either cidr, or podLabels and namespaceLabels")


RULES = (
    _mounts_hide_nothing,
    _volumes_are_not_those_of_assay,
    _secrets_are_not_those_of_a_run,
    _priority_is_not_that_of_the_system,
    _targets_are_addresses_or_pods,
)
