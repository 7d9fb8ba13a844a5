"""Objects of Kubernetes from one file: those of Litmus, of Chaos Mesh, and workflows around them.

All objects of a file begin together, as `kubectl apply` begins them. What is not chaos and not its set-up is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from chaos.imports.argo import WORKFLOWS, Reader, embedded, read_workflow
from chaos.imports.assembling import Imported, Options, assemble
from chaos.imports.collecting import Findings
from chaos.imports.litmus_engine import Engines, read_engine
from chaos.imports.mesh_faults import KINDS, REFUSED, mesh_faults, mesh_spec
from chaos.imports.mesh_workflow import Around, read_schedule, read_templates, status_check
from chaos.imports.stages import Piece, Stage, together
from chaos.manifests import chaos_mesh, litmus
from model.lenient import items, mapping, text
from model.problems import Location

REMEDIES: Mapping[str, str] = {
    "ChaosSchedule": "write its engineTemplateSpec as a ChaosEngine, and its times as `schedule.recurring`",
    "ChaosResult": "it is what a run has found: import the ChaosEngine",
}
SET_UP = frozenset({"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Namespace"})
ARGO = "argoproj.io"


def are_objects(documents: Sequence[object]) -> bool:
    """Say whether the documents of a file are objects of Kubernetes."""
    return any("apiVersion" in mapping(document) for document in documents)


def import_objects(documents: Sequence[object], options: Options) -> Imported:
    """Return the experiment of the objects. Raises: InvalidError with everything that has no counterpart."""
    findings = Findings()
    located = _listed(documents)
    reading = _Reading(
        engines=Engines(
            labels=options.labels,
            count=options.count,
            defaults=_defaults(located, options, findings),
            findings=findings,
        ),
        findings=findings,
        variables=options.variables,
    )
    piece = together([reading.read(document, at) for document, at in located], (), findings)
    tools = {_tool(document) for document, _ in located} - {""}
    return assemble(piece, " and ".join(sorted(tools)) or "other tools", options, findings)


def _listed(documents: Sequence[object]) -> list[tuple[object, Location]]:
    """Return all documents with their locations. A List has its objects in `items`."""
    found: list[tuple[object, Location]] = []
    for number, document in enumerate(documents):
        at: Location = (number,) if len(documents) > 1 else ()
        if mapping(document).get("kind") == "List":
            inner = items(mapping(document).get("items"))
            found += [(one, (*at, "items", position)) for position, one in enumerate(inner)]
        else:
            found.append((document, at))
    return found


def _group(document: object) -> str:
    return text(mapping(document).get("apiVersion")).partition("/")[0]


def _tool(document: object) -> str:
    tools = {litmus.GROUP: "Litmus", ARGO: "Litmus", chaos_mesh.GROUP: "Chaos Mesh"}
    return tools.get(_group(document), "")


def _defaults(
    located: Sequence[tuple[object, Location]], options: Options, findings: Findings
) -> dict[str, Mapping[str, str]]:
    """Return the variables of the ChaosExperiments of the file, by the name of the experiment."""
    carried = [
        one
        for document, at in located
        if _is_argo(document)
        for one in embedded(mapping(document), at, options.variables)
    ]
    found: dict[str, Mapping[str, str]] = {}
    for document, _ in [*located, *carried]:
        raw = mapping(document)
        if raw.get("kind") == "ChaosExperiment":
            definition = mapping(mapping(raw.get("spec")).get("definition"))
            name = text(mapping(raw.get("metadata")).get("name"))
            pairs = [mapping(one) for one in items(definition.get("env"))]
            found[name] = {text(one.get("name")): text(one.get("value")) for one in pairs}
            findings.note(f"Defaults of {name} are those of the ChaosExperiment in the file.")
    return found


def _is_argo(document: object) -> bool:
    return _group(document) == ARGO and text(mapping(document).get("kind")) in WORKFLOWS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    engines: Engines
    findings: Findings
    variables: Mapping[str, str]

    def read(self, document: object, at: Location) -> Piece:
        """Return what one object does."""
        raw, group, findings = mapping(document), _group(document), self.findings
        kind = text(raw.get("kind"))
        if _is_argo(document):
            return read_workflow(raw, at, Reader(read=self.read, findings=findings, variables=self.variables))
        if group == litmus.GROUP and kind == "ChaosEngine":
            return read_engine(raw, at, self.engines)
        if group == litmus.GROUP and kind == "ChaosExperiment":
            return Piece()
        if group == chaos_mesh.GROUP:
            return self._of_mesh(raw, kind, at)
        if kind in SET_UP:
            findings.note(f"{kind} is left out: Assay has rights of its own (deploy/kubernetes).")
            return Piece()
        findings.refuse(
            (*at, "kind"),
            f"{kind or 'it'} of {group or 'no group'} is not imported: {REMEDIES.get(kind, 'take it out of the file')}",
        )
        return Piece()

    def _of_mesh(self, raw: dict[str, object], kind: str, at: Location) -> Piece:
        metadata = mapping(raw.get("metadata"))
        labels, name = self.engines.labels, text(metadata.get("name"))
        namespace = text(metadata.get("namespace")) or "default"
        around = Around(namespace=namespace, labels=labels, count=self.engines.count, findings=self.findings)
        if kind == "Schedule":
            made = read_schedule(raw, at, around)
        elif kind == "Workflow":
            made = read_templates(mapping(raw.get("spec")), (*at, "spec"), around)
        elif kind == "StatusCheck":
            made = status_check(mapping(raw.get("spec")), (*at, "spec"), (name, False), self.findings)
        elif kind in KINDS or kind in REFUSED:
            faults = mesh_faults(replace(mesh_spec(raw, at, labels, self.findings), count=self.engines.count))
            made = Piece(stages=(Stage(faults=faults),) if faults else ())
        else:
            self.findings.refuse((*at, "kind"), f"{kind} of Chaos Mesh is not imported")
            made = Piece()
        named = Piece(names=(name,) if name else ())
        return together([named, made], at, self.findings)
