"""Build the OpenAPI document.

FastAPI derives most of it. The schemas of the bodies that `model.check` reads are added, and 422 becomes 400.
"""

from copy import deepcopy

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.examples import EXAMPLES
from api.problems import MEDIA_TYPE, ProblemDetails
from chaos import team_rules
from chaos.experiment_reading import describe_experiment_schema
from model.check import describe_schema
from model.json_values import JsonObject, json_list, json_object
from model.run_form import RUN_FORM
from model.schema import friendly, not_null
from model.suite import describe_suite_schema
from orchestrator import approvals, chaos_forms, members, pools, quota

REFUSALS = {
    400: "Invalid request",
    401: "Unauthorized",
    403: "Not allowed to the caller",
    404: "Test not found",
    409: "Conflict with the current state",
    413: "Too large",
    429: "Quota exceeded",
    503: "The database cannot be reached",
}
EVERYWHERE = (400, 401, 503)
SHORTENED = ("{executionId}", "{suiteRunId}", "{runId}", "{experimentId}")
"""Path parameters that may be the beginning or the end of an id."""
AMBIGUOUS = "The shortened id matches several runs"
OPEN_PATHS = frozenset({"/health", "/live"})
METHODS = frozenset({"get", "put", "patch", "post", "delete"})


def refusals(*statuses: int, **described: str) -> dict[int | str, JsonObject]:
    """Describe the error responses of a route besides those that every route has."""
    words = {int(key.removeprefix("status_")): text for key, text in described.items()}
    return {status: _refusal(words.get(status, REFUSALS[status])) for status in (*statuses, *words)}


def _refusal(description: str) -> JsonObject:
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
    }


def body(name: str) -> JsonObject:
    """Describe a required JSON body, for a route that parses its body itself."""
    content: JsonObject = {"schema": {"$ref": f"#/components/schemas/{name}"}, "example": EXAMPLES[name]}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def install(app: FastAPI) -> None:
    """Make `app` serve this document."""

    def openapi() -> JsonObject:
        if not app.openapi_schema:
            app.openapi_schema = document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it


def document(app: FastAPI) -> JsonObject:
    """Build the OpenAPI document of `app`."""
    made: JsonObject = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = json_object(json_object(made["components"])["schemas"])
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas.update(_component_schemas())
    for path, methods in json_object(made["paths"]).items():
        operations = json_object(methods)
        for method in METHODS & operations.keys():
            operation = json_object(operations[method])
            _add_refusals(json_object(operation["responses"]), _everywhere(path))
    return made


def _everywhere(path: str) -> dict[int, str]:
    """Return the descriptions of the error responses that every route of a path has."""
    if path in OPEN_PATHS:
        return {}
    statuses = {status: REFUSALS[status] for status in EVERYWHERE}
    return {**statuses, 409: AMBIGUOUS} if any(name in path for name in SHORTENED) else statuses


def _add_refusals(responses: JsonObject, everywhere: dict[int, str]) -> None:
    responses.pop("422", None)
    for status, words in everywhere.items():
        responses.setdefault(str(status), _refusal(words))


def _component_schemas() -> JsonObject:
    details: JsonObject = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    inner = json_object(details.pop("$defs"))
    request = deepcopy(describe_schema())
    parts = _extract(request)
    return {
        "ProblemDetails": details,
        **inner,
        **parts,
        "TestRequest": request,
        "Run": friendly(RUN_FORM.schema, {}),
        "Suite": deepcopy(describe_suite_schema()),
        "QuotaChange": not_null(friendly(quota.FORM.schema, {}), quota.MAY_BE_NULL),
        "PoolChange": not_null(friendly(pools.FORM.schema, {}), pools.MAY_BE_NULL),
        "NewTeam": friendly(members.NEW_TEAM.schema, {}),
        "TeamUses": friendly(members.TEAM_USES.schema, {}),
        "TeamChaosRules": friendly(deepcopy(team_rules.FORM.schema), {}),
        "NewUser": friendly(members.NEW_USER.schema, {}),
        "Experiment": friendly(deepcopy(describe_experiment_schema()), {}),
        "ChaosStop": friendly(chaos_forms.STOP.schema, {}),
        "ChaosApproval": friendly(approvals.APPROVAL.schema, {}),
        "ChaosDenial": friendly(approvals.DENIAL.schema, {}),
        "ChaosCordon": friendly(chaos_forms.CORDON.schema, {}),
        "NewPool": not_null(friendly(pools.NEW_FORM.schema, {}), pools.MAY_BE_NULL),
    }


def _extract(request: JsonObject) -> JsonObject:
    """Replace parts of the schema of a request by references, and return the parts under their names."""
    properties = json_object(request["properties"])
    json_object(properties["name"])["example"] = "API Regression Test"
    content = json_object(properties["content"])
    parts: JsonObject = {str(json_object(kind)["title"]): kind for kind in json_list(content["oneOf"])}
    content["oneOf"] = [_reference(name) for name in parts]
    for key, name in (("resources", "ResourceRequirements"), ("config", "ExecutionConfig")):
        parts[name] = properties[key]
        properties[key] = _reference(name)
    return parts


def _reference(name: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{name}"}
