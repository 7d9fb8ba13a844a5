"""The OpenAPI document: what FastAPI derives, with the bodies that `model.check` reads, and 400 in place of 422."""

from copy import deepcopy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.problems import MEDIA_TYPE, ProblemDetails
from model.check import describe_schema
from model.schema import friendly, not_null
from model.suite import describe_suite_schema
from orchestrator import pools, quota

REFUSALS = {
    400: "Invalid request",
    401: "Unauthorized",
    404: "Test not found",
    409: "In conflict with its state",
    413: "Too large",
    429: "Quota exceeded",
    503: "The database cannot be reached",
}
EVERYWHERE = (400, 401, 503)
SHORTENED = ("{executionId}", "{suiteRunId}")
"""Parameters of a path that may be a part of an id."""
SEVERAL = "The id was cut so short that several begin or end so"
OPEN_PATHS = frozenset({"/health"})
METHODS = frozenset({"get", "put", "patch", "post", "delete"})


def refusals(*statuses: int, **described: str) -> dict[int | str, dict[str, Any]]:
    """Describe the refusals of a route, besides those that every route has."""
    words = {int(key.removeprefix("status_")): text for key, text in described.items()}
    return {status: _refusal(words.get(status, REFUSALS[status])) for status in (*statuses, *words)}


def _refusal(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
    }


def body(name: str) -> dict[str, Any]:
    """Describe a required JSON body, for a route that reads it by itself."""
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def install(app: FastAPI) -> None:
    """Have `app` serve this document."""

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way


def document(app: FastAPI) -> dict[str, Any]:
    """Build the document."""
    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas.update(_component_schemas())
    for path, item in made["paths"].items():
        for method in METHODS & item.keys():
            _mend(item[method]["responses"], _everywhere(path))
    return made


def _everywhere(path: str) -> dict[int, str]:
    """Return the refusals that every route of such a path has."""
    if path in OPEN_PATHS:
        return {}
    statuses = {status: REFUSALS[status] for status in EVERYWHERE}
    return {**statuses, 409: SEVERAL} if any(name in path for name in SHORTENED) else statuses


def _mend(responses: dict[str, Any], everywhere: dict[int, str]) -> None:
    responses.pop("422", None)
    for status, words in everywhere.items():
        responses.setdefault(str(status), _refusal(words))


def _component_schemas() -> dict[str, Any]:
    details = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    inner = details.pop("$defs")
    request = deepcopy(describe_schema())
    parts = _lift_out(request)
    return {
        "ProblemDetails": details,
        **inner,
        **parts,
        "TestRequest": request,
        "Suite": deepcopy(describe_suite_schema()),
        "QuotaChange": not_null(friendly(quota.FORM.schema, {}), quota.MAY_BE_NULL),
        "PoolChange": not_null(friendly(pools.FORM.schema, {}), pools.MAY_BE_NULL),
        "NewPool": not_null(friendly(pools.NEW_FORM.schema, {}), pools.MAY_BE_NULL),
    }


def _lift_out(request: dict[str, Any]) -> dict[str, Any]:
    """Give the parts of a request names of their own, as the original design has them."""
    properties = request["properties"]
    properties["name"]["example"] = "API Regression Test"
    parts: dict[str, Any] = {schema["title"]: schema for schema in properties["content"]["oneOf"]}
    properties["content"]["oneOf"] = [_reference(name) for name in parts]
    for key, name in (("resources", "ResourceRequirements"), ("config", "ExecutionConfig")):
        parts[name] = properties[key]
        properties[key] = _reference(name)
    return parts


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
