"""Keys of a pod that no request may have: they would lead out of the pod, or are set by Assay. Each with its reason.

A request has no such keys, so they are unknown keys. Whoever copies them from a manifest of Kubernetes is told why they
are missing.
"""

from collections.abc import Mapping

_NODE = "a test may not share the {} of its node"
_RESTRICTED = 'every pod of a test fits Pod Security "restricted", and no request can change that'
_PLACED = "the gate chooses the node; use nodeSelector or affinity to restrict its choice"
_RESOLVED = "Assay decides what the pod can resolve"
_CONTAINERS = "a pod of a test has only Assay's own containers"
_VOLUME = "the volumes of a test are configMap, secret, claim and emptyDir"
_TOKEN = "a test has no credentials of the cluster"  # noqa: S105  not a password

REFUSED_KEYS: Mapping[str, str] = {
    "hostNetwork": _NODE.format("network"),
    "hostPID": _NODE.format("processes"),
    "hostIPC": _NODE.format("memory segments"),
    "hostPath": _NODE.format("files"),
    "hostPort": _NODE.format("ports"),
    "hostUsers": _NODE.format("users"),
    "hostAliases": _RESOLVED,
    "dnsPolicy": _RESOLVED,
    "dnsConfig": _RESOLVED,
    "shareProcessNamespace": "a test may not see the processes that hold its results",
    "privileged": _RESTRICTED,
    "allowPrivilegeEscalation": _RESTRICTED,
    "capabilities": _RESTRICTED,
    "runAsUser": _RESTRICTED,
    "runAsGroup": _RESTRICTED,
    "runAsNonRoot": _RESTRICTED,
    "fsGroup": _RESTRICTED,
    "procMount": _RESTRICTED,
    "seccompProfile": _RESTRICTED,
    "appArmorProfile": _RESTRICTED,
    "seLinuxOptions": _RESTRICTED,
    "sysctls": _RESTRICTED,
    "securityContext": _RESTRICTED,
    "podSecurityContext": _RESTRICTED,
    "readOnlyRootFilesystem": "the root of a test is always read-only; mount an emptyDir where it has to write",
    "automountServiceAccountToken": _TOKEN,
    "serviceAccountToken": _TOKEN,
    "projected": f"{_TOKEN}; use configMap or secret",
    "csi": _VOLUME,
    "downwardAPI": _VOLUME,
    "ephemeral": _VOLUME,
    "iscsi": _VOLUME,
    "nfs": _VOLUME,
    "persistentVolumeClaim": "the key is claim, with the name of the claim",
    "imagePullSecrets": "the administrator of the cluster adds them to the service account",
    "nodeName": _PLACED,
    "schedulerName": _PLACED,
    "preemptionPolicy": "the pod of a test never evicts another pod",
    "activeDeadlineSeconds": "the key is timeout",
    "priorityClassName": "the key is priorityClass",
    "runtimeClassName": "the key is runtimeClass",
    "serviceAccountName": "the key is serviceAccount",
    "initContainers": _CONTAINERS,
    "containers": _CONTAINERS,
    "ephemeralContainers": _CONTAINERS,
    "ports": "nobody may connect to a test",
}
