"""The commands for clusters: add, list, check, rm."""

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from cli import output
from cli.connection import connect
from cli.parameters import Json
from model.fault import EXIT_REFUSED

CHECK_SECONDS = 240.0
"""A check starts pods, whose image may have to be pulled first."""

Name = Annotated[str, typer.Argument(help="The name of the cluster.", show_default=False)]


def mount(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(name="cluster", no_args_is_help=True, rich_markup_mode=None)
    group.callback(help="Manage Kubernetes clusters.", epilog="Example: assay cluster list")(_nothing)
    example = "assay cluster add lab --kubeconfig ~/.kube/config --image python:3.12"
    group.command("add", epilog=f"Example: {example}")(add)
    group.command("import", epilog="Example: assay cluster import lab")(import_block)
    group.command("list", epilog="Example: assay cluster list")(list_clusters)
    group.command("check", epilog="Example: assay cluster check lab")(check)
    group.command("rm", epilog="Example: assay cluster rm lab")(rm)
    app.add_typer(group)


def _nothing() -> None:
    """Do nothing: the subcommands do the work."""


def add(  # noqa: PLR0913  one option for each column
    name: Name,
    *,
    image: Annotated[str, typer.Option(help="The image in which tests run: with Python 3.10 or newer, and pip.")],
    kubeconfig: Annotated[
        Path | None, typer.Option(help="As the worker sees it. Without it the worker runs inside of the cluster.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="A context of the kubeconfig.")] = None,
    namespace: Annotated[str, typer.Option(help="The namespace of the pods.")] = "assay-tests",
    gpu: Annotated[
        str | None, typer.Option(help="The name of the resource that a GPU is, if not nvidia.com/gpu.")
    ] = None,
    priority_class: Annotated[
        list[str] | None, typer.Option(help="A priority class that a test may name; may be given again.")
    ] = None,
    runtime_class: Annotated[
        list[str] | None, typer.Option(help="A runtime class that a test may name; may be given again.")
    ] = None,
    control_plane: Annotated[
        bool, typer.Option("--control-plane", help="Tests may tolerate the taints of the control plane's nodes.")
    ] = False,
    network_required: Annotated[
        bool, typer.Option("--network-required", help="No test starts unless network policies are enforced.")
    ] = False,
    json: Json = False,
) -> None:
    """Add a cluster, or change it. Workers serve it within seconds, a changed one once they run nothing."""
    body: dict[str, object] = {
        "namespace": namespace,
        "image": image,
        "context": context,
        "kubeconfig": None,
        "priorityClasses": priority_class or [],
        "runtimeClasses": runtime_class or [],
        "controlPlane": control_plane,
        "networkRequired": network_required,
    }
    if gpu is not None:
        body["gpu"] = gpu
    if kubeconfig is not None:
        body["kubeconfig"] = f"file:{kubeconfig.expanduser().absolute()}"
    with connect() as client:
        answer = client.put(f"/clusters/{quote(name, safe='')}", body)
    output.as_json(answer) if json else output.say(f"{name} is known; look at it with: assay cluster check {name}")


def import_block(
    block: Annotated[str, typer.Argument(help="The name of the block in Prefect.", show_default=False)],
    *,
    name: Annotated[str | None, typer.Option(help="The name of the cluster, if not that of the block.")] = None,
    json: Json = False,
) -> None:
    """Add a cluster, or change it, from a Prefect block of the type Assay Kubernetes Cluster."""
    from cli.deploying import cluster_of_block  # noqa: PLC0415  only this command pays for what it imports

    body, known_as = cluster_of_block(block), name or block
    with connect() as client:
        answer = client.put(f"/clusters/{quote(known_as, safe='')}", body)
    output.as_json(answer) if json else output.say(f"{known_as} is known; look at it: assay cluster check {known_as}")


def list_clusters(*, json: Json = False) -> None:
    """List the clusters."""
    with connect() as client:
        answer = client.get("/clusters")
    if json:
        output.as_json(answer)
        return
    output.table(
        ("name", "namespace", "image", "kubeconfig", "context"),
        [
            (c["name"], c["namespace"], c["image"], c["kubeconfig"] or "in the cluster", c["context"] or "")
            for c in answer["clusters"]
        ],
        spare=("context", "kubeconfig"),
    )


def check(name: Name, *, json: Json = False) -> None:
    """Look at what tests need in a cluster, and say what is missing and how to get it. Exit code 4 if anything is."""
    output.say(f"trying {name} out with three small pods, which takes some seconds")
    with connect(CHECK_SECONDS) as client:
        answer = client.post(f"/clusters/{quote(name, safe='')}/check")
    if json:
        output.as_json(answer)
    else:
        rows = [("yes" if f["fine"] else "NO", f["what"], f["words"]) for f in answer["findings"]]
        output.table(("fine", "what", "found"), rows)
    if not answer["fine"]:
        raise typer.Exit(EXIT_REFUSED)


def rm(name: Name, *, json: Json = False) -> None:
    """Remove a cluster. Workers stop to serve it once they run nothing."""
    with connect() as client:
        client.delete(f"/clusters/{quote(name, safe='')}")
    output.as_json({"removed": name}) if json else output.say(f"removed {name}")
