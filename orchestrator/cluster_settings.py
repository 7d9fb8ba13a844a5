"""What a backend needs to know of a cluster, from its row."""

from cluster.backend_factory import ClusterSettings
from db.clusters import ClusterRow


def settings_of(row: ClusterRow) -> ClusterSettings:
    """Return the settings of a cluster."""
    return ClusterSettings(
        name=row.name,
        namespace=row.namespace,
        image=row.image,
        kubeconfig=row.kubeconfig,
        context=row.context,
        gpu=row.gpu,
        policy=row.policy,
        network_required=row.network_required,
    )
