"""Clusters: what a row may say. The API writes it, workers read it."""

import re

from sqlalchemy import Connection

from db import clusters
from db.clusters import ClusterRow
from model.fields import IMAGE_PATTERN
from model.problems import InvalidError, Problem

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
KUBECONFIG = re.compile(r"file:/[^\x00]{1,900}")
IMAGE = re.compile(IMAGE_PATTERN)
LONGEST_IMAGE = 500


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
        problems.append(Problem(path="image", message="must be the name of an image, such as python:3.12"))
    if row.kubeconfig is not None and not KUBECONFIG.fullmatch(row.kubeconfig):
        problems.append(Problem(path="kubeconfig", message="must be file:/absolute/path, as the worker sees it"))
    return problems
