"""A Kubernetes cluster as a Prefect block: the form in Prefect's pages from which a row of our table can be written.

Workers read the row, never the block, so that runs do not depend on Prefect (D27).
"""

from typing import ClassVar

from prefect.blocks.core import Block
from pydantic import Field

from model.resources import DEFAULT_GPU

SLUG = "assay-kubernetes-cluster"


class KubernetesCluster(Block):
    """How workers reach a cluster, and what they use of it. It holds a reference to a kubeconfig, never its content."""

    _block_type_name: ClassVar[str] = "Assay Kubernetes Cluster"
    _block_type_slug: ClassVar[str] = SLUG
    _description: ClassVar[str] = "A cluster whose pods run tests. Import it by `assay cluster import`."

    namespace: str = Field("assay-tests", max_length=63, description="The namespace of the pods")
    image: str = Field(max_length=500, description="The image in which tests run, with Python 3.10 or newer and pip")
    kubeconfig: str | None = Field(
        None, description="file:/path, as the worker sees it; empty if the worker runs inside of the cluster"
    )
    context: str | None = Field(None, description="A context of the kubeconfig")
    gpu: str = Field(DEFAULT_GPU, description="The name of the resource that a GPU is")
    priority_classes: list[str] = Field(default_factory=list, description="Priority classes that a test may name")
    runtime_classes: list[str] = Field(default_factory=list, description="Runtime classes that a test may name")
    control_plane: bool = Field(
        default=False, description="Whether a test may tolerate the taints of the control plane's nodes"
    )
    network_required: bool = Field(
        default=False, description="Whether no test starts unless the cluster enforces network policies"
    )
    cluster_labels: dict[str, str] = Field(default_factory=dict, description="What people call it by")

    def row(self) -> dict[str, object]:
        """Return the body of `PUT /clusters/NAME`."""
        return {
            "namespace": self.namespace,
            "image": self.image,
            "kubeconfig": self.kubeconfig or None,
            "context": self.context or None,
            "labels": self.cluster_labels,
            "gpu": self.gpu,
            "priorityClasses": self.priority_classes,
            "runtimeClasses": self.runtime_classes,
            "controlPlane": self.control_plane,
            "networkRequired": self.network_required,
        }
