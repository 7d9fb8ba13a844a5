"""Clusters that cannot be used: each says what is missing, and who has to do something about it."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from harness.backends import order
from harness.beds.kubernetes import Bed

from cluster.backend import Fault, LaunchError, UnavailableError
from cluster.kubernetes.check import check
from cluster.kubernetes.connection import ClusterAccess, Connection

pytestmark = pytest.mark.cluster

POWERLESS = "nobody-in-particular"


def elsewhere(access: ClusterAccess, folder: Path) -> ClusterAccess:
    """Return the cluster as a kubeconfig describes it whose server is another one."""
    nobody = "https://127.0.0.1:9"
    return rewritten(access, folder, lambda config: config["clusters"][0]["cluster"].update(server=nobody))


def without_certificate(access: ClusterAccess, folder: Path) -> ClusterAccess:
    return rewritten(access, folder, lambda config: config["users"][0].update(user={"token": "none-of-this-cluster"}))


def expired(access: ClusterAccess, folder: Path) -> ClusterAccess:
    """Return the cluster with the certificate of an administrator that has ended a day ago, signed by its authority."""
    files = (access.kubeconfig or Path()).parent / "pki"
    if not (files / "ca.key").exists():
        pytest.skip("needs the key of the cluster's certificate authority, as ../shared/cluster/up keeps it")
    authority = x509.load_pem_x509_certificate((files / "ca.crt").read_bytes())
    authority_key = serialization.load_pem_private_key((files / "ca.key").read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)  # noqa: TID251  a test is its own wiring
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
            x509.NameAttribute(NameOID.COMMON_NAME, "admin"),
        ]
    )
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(authority.subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(days=2)).not_valid_after(now - dt.timedelta(days=1))
    certificate = builder.sign(authority_key, hashes.SHA256())  # type: ignore[arg-type]
    (folder / "old.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / "old.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    user = {"client-certificate": str(folder / "old.crt"), "client-key": str(folder / "old.key")}
    return rewritten(access, folder, lambda config: config["users"][0].update(user=user))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (elsewhere, ["cannot be reached", "Connection refused"]),
        (without_certificate, ["does not accept the credentials", "expired"]),
        (expired, ["does not accept the credentials", "expired"]),
    ],
    ids=["wrong server", "wrong token", "expired certificate"],
)
async def test_a_cluster_that_cannot_be_used_says_why(
    bed: Bed, tmp_path: Path, changed: Callable[[ClusterAccess, Path], ClusterAccess], words: list[str]
) -> None:
    bed.access = changed(bed.access, tmp_path)

    with pytest.raises((UnavailableError, LaunchError)) as refused:
        await bed.open().launch(order(bed, "true"))
    [finding] = check(bed.access)

    for told in (str(refused.value), finding.words):
        assert [word for word in (*words, bed.access.name) if word not in told] == []
    assert not isinstance(refused.value, LaunchError) or refused.value.fault is Fault.INFRASTRUCTURE
    assert (finding.what, finding.fine) == ("connection", False)


async def test_a_missing_namespace_is_named(bed: Bed) -> None:
    """Its owner makes it; the run is tried again meanwhile, and is not charged to its test."""
    bed.access = replace(bed.access, namespace="assay-tests-none")

    with pytest.raises(LaunchError, match='namespaces "assay-tests-none" not found') as refused:
        await bed.open().launch(order(bed, "true"))

    assert refused.value.fault is Fault.INFRASTRUCTURE


async def test_a_missing_permission_is_named_with_its_verb_and_resource(bed: Bed, tmp_path: Path) -> None:
    token = service_account(bed.access)
    bed.access = rewritten(bed.access, tmp_path, lambda config: config["users"][0].update(user={"token": token}))
    backend = bed.open()

    with pytest.raises(UnavailableError) as nodes:
        await backend.nodes()
    with pytest.raises((LaunchError, UnavailableError)) as launch:
        await backend.launch(order(bed, "true"))

    assert 'cannot list resource "nodes"' in str(nodes.value)
    assert 'cannot get resource "pods"' in str(launch.value)
    permissions = [finding.words for finding in check(bed.access) if finding.what == "permission"]
    assert any(words.startswith("may not create, get, list, watch, patch, delete pods") for words in permissions)


def service_account(access: ClusterAccess) -> str:
    """Make a service account without any right in the namespace. Return a token of it."""
    connection = Connection(access)
    place = f"/api/v1/namespaces/{access.namespace}/serviceaccounts"
    connection.create(place, {"metadata": {"name": POWERLESS}})
    answer = connection.create(f"{place}/{POWERLESS}/token", {"spec": {"expirationSeconds": 3600}})
    connection.close()
    assert answer is not None
    return str(json.loads(answer)["status"]["token"])


def rewritten(access: ClusterAccess, folder: Path, change: Callable[[Any], None]) -> ClusterAccess:
    """Return the cluster with a changed copy of its kubeconfig."""
    assert access.kubeconfig is not None
    config = yaml.safe_load(access.kubeconfig.read_text())
    for part in (config["clusters"][0]["cluster"], config["users"][0]["user"]):
        for key in ("certificate-authority", "client-certificate", "client-key"):
            if key in part:
                part[key] = str(access.kubeconfig.parent / part[key])
    change(config)
    target = folder / "kubeconfig"
    target.write_text(yaml.safe_dump(config))
    return replace(access, kubeconfig=target)
