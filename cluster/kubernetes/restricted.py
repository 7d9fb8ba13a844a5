"""Checks a pod before it is sent: Pod Security "restricted", and what Assay demands besides.

The namespace's label makes the API server check the same again. This check needs no cluster, and names every path.
Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from collections.abc import Iterator, Mapping, Sequence

from cluster.kubernetes.pod_paths import ROOT
from model.problems import Problem

VOLUMES = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)
SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_syncookies",
    }
)
SECCOMP = frozenset({"RuntimeDefault", "Localhost"})
SELINUX = frozenset({"container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
OUR_SECRETS = "assay-"
"""Secrets of this prefix are those of other attempts."""


def problems(pod: Mapping[str, object]) -> list[Problem]:
    """Return what no pod of ours may have, each with its path; none for a pod that may be sent."""
    spec = _mapping(pod.get("spec"))
    found = [*_host(spec), *_tokens(spec), *_pod_security(spec), *_volumes(spec)]
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for number, entry in enumerate(_items(spec.get(kind))):
            found += _container(_mapping(entry), f"spec.{kind}[{number}]", _mapping(spec.get("securityContext")))
    return found


def _host(spec: Mapping[str, object]) -> Iterator[Problem]:
    for name in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        if spec.get(name):
            yield Problem(
                path=f"spec.{name}", message="must not be set: a test may not share it with its node or keeper"
            )


def _tokens(spec: Mapping[str, object]) -> Iterator[Problem]:
    if spec.get("automountServiceAccountToken") is not False:
        yield Problem(path="spec.automountServiceAccountToken", message="must be false: a test has no credentials")


def _pod_security(spec: Mapping[str, object]) -> Iterator[Problem]:
    context = _mapping(spec.get("securityContext"))
    yield from _user(context, "spec.securityContext")
    yield from _profiles(context, "spec.securityContext")
    for number, sysctl in enumerate(_items(context.get("sysctls"))):
        if _mapping(sysctl).get("name") not in SYSCTLS:
            yield Problem(path=f"spec.securityContext.sysctls[{number}].name", message="is not one of the safe ones")


def _volumes(spec: Mapping[str, object]) -> Iterator[Problem]:
    seen: set[object] = set()
    for number, entry in enumerate(_items(spec.get("volumes"))):
        volume, path = _mapping(entry), f"spec.volumes[{number}]"
        for kind in sorted(volume.keys() - VOLUMES - {"name"}):
            yield Problem(path=f"{path}.{kind}", message=f"must be one of {', '.join(sorted(VOLUMES))}")
        if str(_mapping(volume.get("secret")).get("secretName", "")).startswith(OUR_SECRETS):
            yield Problem(
                path=f"{path}.secret.secretName", message=f"must not begin with {OUR_SECRETS}: it belongs to a run"
            )
        if volume.get("name") in seen:
            yield Problem(path=f"{path}.name", message="is there twice; assay and tmp are Assay's own")
        seen.add(volume.get("name"))


def _container(container: Mapping[str, object], path: str, of_pod: Mapping[str, object]) -> Iterator[Problem]:
    context = _mapping(container.get("securityContext"))
    inside = f"{path}.securityContext"
    yield from _user(context, inside)
    yield from _profiles(context, inside)
    yield from _rights(context, inside)
    merged = {**of_pod, **context}
    if merged.get("runAsNonRoot") is not True:
        yield Problem(path=f"{inside}.runAsNonRoot", message="must be true")
    if _mapping(merged.get("seccompProfile")).get("type") not in SECCOMP:
        yield Problem(path=f"{inside}.seccompProfile.type", message="must be RuntimeDefault or Localhost")
    for number, port in enumerate(_items(container.get("ports"))):
        if _mapping(port).get("hostPort"):
            yield Problem(path=f"{path}.ports[{number}].hostPort", message="must not be set")
    yield from _mounts(container, path)


def _rights(context: Mapping[str, object], path: str) -> Iterator[Problem]:
    if context.get("privileged"):
        yield Problem(path=f"{path}.privileged", message="must not be set")
    if context.get("allowPrivilegeEscalation") is not False:
        yield Problem(path=f"{path}.allowPrivilegeEscalation", message="must be false")
    if context.get("readOnlyRootFilesystem") is not True:
        yield Problem(path=f"{path}.readOnlyRootFilesystem", message="must be true")
    if context.get("procMount") not in {None, "Default"}:
        yield Problem(path=f"{path}.procMount", message="must be Default")
    capabilities = _mapping(context.get("capabilities"))
    if "ALL" not in _items(capabilities.get("drop")):
        yield Problem(path=f"{path}.capabilities.drop", message="must contain ALL")
    if set(map(str, _items(capabilities.get("add")))) - {"NET_BIND_SERVICE"}:
        yield Problem(path=f"{path}.capabilities.add", message="must be empty, or NET_BIND_SERVICE alone")


def _user(context: Mapping[str, object], path: str) -> Iterator[Problem]:
    if context.get("runAsNonRoot") is False:
        yield Problem(path=f"{path}.runAsNonRoot", message="must be true")
    if context.get("runAsUser") == 0:
        yield Problem(path=f"{path}.runAsUser", message="must not be root")


def _profiles(context: Mapping[str, object], path: str) -> Iterator[Problem]:
    if _mapping(context.get("seccompProfile")).get("type", "RuntimeDefault") not in SECCOMP:
        yield Problem(path=f"{path}.seccompProfile.type", message="must be RuntimeDefault or Localhost")
    if _mapping(context.get("appArmorProfile")).get("type", "RuntimeDefault") not in SECCOMP:
        yield Problem(path=f"{path}.appArmorProfile.type", message="must be RuntimeDefault or Localhost")
    selinux = _mapping(context.get("seLinuxOptions"))
    if selinux.get("type", "container_t") not in SELINUX or selinux.get("user") or selinux.get("role"):
        yield Problem(
            path=f"{path}.seLinuxOptions", message="must be one of the types for containers, without user and role"
        )
    if _mapping(context.get("windowsOptions")).get("hostProcess"):
        yield Problem(path=f"{path}.windowsOptions.hostProcess", message="must not be set")


def _mounts(container: Mapping[str, object], path: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, entry in enumerate(_items(container.get("volumeMounts"))):
        target = str(_mapping(entry).get("mountPath", "")).rstrip("/")
        if target in seen or target.startswith(f"{ROOT}/"):
            yield Problem(path=f"{path}.volumeMounts[{number}].mountPath", message=f"must not lie over {ROOT} or /tmp")
        seen.add(target)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()
