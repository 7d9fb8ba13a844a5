"""Clusters: what a row may say. The API writes it, workers read it."""

import re

from sqlalchemy import Connection

from db import clusters
from db.clusters import ClusterRow
from model import pod_policy
from model.fields import IMAGE_PATTERN
from model.pod_rules import SYSTEM_CLASS
from model.problems import InvalidError, Problem
from model.request import TestRequest

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
KUBECONFIG = re.compile(r"file:/[^\x00]{1,900}")
IMAGE = re.compile(IMAGE_PATTERN)
LONGEST_IMAGE = 500
CLASS = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
RESOURCE = re.compile(r"[a-z0-9][-a-z0-9.]{0,251}/[A-Za-z0-9][-A-Za-z0-9_.]{0,62}")


def put(conn: Connection, row: ClusterRow) -> None:
    """Add a cluster, or change it. Raises: InvalidError with every problem."""
    if problems := check(row):
        raise InvalidError(problems)
    clusters.put(conn, row)


def check(row: ClusterRow) -> list[Problem]:
    """Return what is not written right."""
    problems = []
    for path, text in (("name", row.name), ("namespace", row.namespace)):
        if not NAME.fullmatch(text):
            problems.append(Problem(path=path, message="must be a-z, 0-9 and '-', 63 characters at most"))
    if not IMAGE.fullmatch(row.image) or len(row.image) > LONGEST_IMAGE:
        problems.append(
            Problem(path="image", message="must be the name of an image, such as python:3.12, without https://")
        )
    if row.kubeconfig is not None and not KUBECONFIG.fullmatch(row.kubeconfig):
        problems.append(Problem(path="kubeconfig", message="must be file:/absolute/path, as the worker sees it"))
    if not RESOURCE.fullmatch(row.gpu):
        problems.append(Problem(path="gpu", message="must be the name of a resource, such as nvidia.com/gpu"))
    policy = row.policy
    for path, classes in (("priorityClasses", policy.priority_classes), ("runtimeClasses", policy.runtime_classes)):
        for name in sorted(classes):
            if not CLASS.fullmatch(name) or name.startswith(SYSTEM_CLASS):
                message = f"{name[:100]!r} is no name of a class that tests may have"
                problems.append(Problem(path=path, message=message))
    return problems


def beyond_policy(conn: Connection, request: TestRequest) -> list[Problem]:
    """Return what the pod of a request asks for and no cluster allows."""
    config = request.config
    if not (config.priority_class or config.runtime_class or config.tolerations):
        return []
    allowed = pod_policy.any_of(row.policy for row in clusters.read(conn))
    return [finding.problem() for finding in pod_policy.violations(config, allowed)]
