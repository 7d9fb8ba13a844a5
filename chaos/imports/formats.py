"""Which tool a file is from: objects of Kubernetes by their `apiVersion`, else an experiment of Chaos Toolkit."""

import json
from collections.abc import Sequence
from contextlib import suppress

from chaos.imports.assembling import Imported, Options
from chaos.imports.chaos_toolkit import import_toolkit
from chaos.imports.objects import are_objects, import_objects
from model.document import read_yaml_documents
from model.plain import plain
from model.problems import InvalidError, Problem


def import_documents(documents: Sequence[object], options: Options) -> Imported:
    """Return the experiment of a file's documents. Raises: InvalidError with everything that has no counterpart."""
    if endless := plain(list(documents)).unbounded:
        raise InvalidError(finding.problem() for finding in endless)
    if are_objects(documents):
        return import_objects(documents, options)
    wrong = []
    if len(documents) > 1:
        wrong.append(
            Problem(path="", message="has several documents without apiVersion; Chaos Toolkit has one in a file")
        )
    if options.labels:
        wrong.append(
            Problem(path="--target", message="is for Litmus and Chaos Mesh: actions of Chaos Toolkit have labels")
        )
    if options.count is not None:
        wrong.append(
            Problem(path="--count", message="is for Litmus and Chaos Mesh: actions of Chaos Toolkit have `qty`")
        )
    if options.health:
        wrong.append(Problem(path="--health", message="is for Litmus and Chaos Mesh: Chaos Toolkit has probes"))
    if wrong:
        raise InvalidError(wrong)
    document = documents[0] if documents else None
    return import_toolkit(document, options.cluster, options.seconds, options.variables)


def read_documents(text: str) -> list[object]:
    """Return the documents of a file: YAML, or JSON, which YAML does not read if it is indented by tabs.

    Raises: InvalidError with the line of the error.
    """
    if text.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):
            return [json.loads(text)]
    return read_yaml_documents(text)
