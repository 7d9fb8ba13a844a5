"""Compare the served OpenAPI document with the original design (lld.md): section 6.1 and the bodies of 1.2.

Intended differences are listed here with their reasons. Any other difference fails.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from harness.rest import Api
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

DATA = Path(__file__).parents[2] / "data"
EXCERPT = yaml.safe_load((DATA / "openapi_excerpt.yaml").read_text())
PREFIX = "/api/v1"

WIDENED = {
    "/paths/~/tests/get/parameters/status/schema/enum": ["timeout"],  # the list lacks what the table has
    "/components/schemas/TestRequest/properties/type/enum": [
        "event",
        "pytest",
        "custom",
    ],  # the table has custom; pytest is ours
    "/components/schemas/TestRequest/properties/content/oneOf": [
        "ArtifactContent",
        "ArchiveContent",
    ],  # the table's "artifact URL": sent to us, or named by its address
}
"""Lists of the served document with entries that the excerpt lacks."""

NOT_COMPARED = {
    "/openapi",  # FastAPI writes 3.1
    "/servers",  # the address of somebody's server; its path stands before each of ours
    "/info/description",
}


@pytest.fixture
def served(shared_api: Api) -> Any:
    return httpx.get(f"{shared_api.url}/openapi.json", trust_env=False).json()


def test_the_served_document_has_every_field_of_the_excerpt(served: dict[str, Any]) -> None:
    assert list(differences(EXCERPT, served, served, "")) == []


def differences(wanted: Any, found: Any, root: dict[str, Any], path: str) -> Iterator[str]:
    found = resolved(found, wanted, root)
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            own = PREFIX + key if path == "/paths" else key
            here = f"{path}/{key.replace('/', '~/', 1)}" if path == "/paths" else f"{path}/{key}"
            if here in NOT_COMPARED:
                continue
            if not isinstance(found, dict) or own not in found:
                yield f"{here}: missing"
            else:
                yield from differences(value, found[own], root, here)
    elif isinstance(wanted, list):
        yield from list_differences(wanted, found, root, path)
    elif wanted != found:
        yield f"{path}: {wanted!r} wanted, {found!r} found"


def list_differences(wanted: list[Any], found: Any, root: dict[str, Any], path: str) -> Iterator[str]:
    if not isinstance(found, list):
        yield f"{path}: no list"
    elif wanted and isinstance(wanted[0], dict) and "name" in wanted[0]:
        named = {item["name"]: item for item in found}
        for item in wanted:
            yield from differences(item, named.get(item["name"], {}), root, f"{path}/{item['name']}")
    else:
        more = [
            {"$ref": f"#/components/schemas/{name}"} if path.endswith("oneOf") else name
            for name in WIDENED.get(path, [])
        ]
        yield from (f"{path}: {item} is missing" for item in wanted if item not in found)
        if path.endswith(("enum", "oneOf", "required")):
            yield from (f"{path}: {item} is new" for item in found if item not in [*wanted, *more])


def resolved(found: Any, wanted: Any, root: dict[str, Any]) -> Any:
    """Resolve a reference where the excerpt has none, and remove `null` from the types."""
    while isinstance(found, dict) and "$ref" in found and not (isinstance(wanted, dict) and "$ref" in wanted):
        target = root
        for step in found["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        found = {**target, **{key: value for key, value in found.items() if key != "$ref"}}
    if isinstance(found, dict) and "anyOf" in found and isinstance(wanted, dict) and "anyOf" not in wanted:
        others = [one for one in found["anyOf"] if one != {"type": "null"}]
        if len(others) == 1:
            rest = {key: value for key, value in found.items() if key != "anyOf"}
            return resolved({**rest, **others[0]}, wanted, root)
    return found


CEILINGS = {"maxCpu", "maxMemory", "maxEphemeralStorage", "maxGpu"}


def test_every_reference_resolves_and_no_operation_has_a_422(served: dict[str, Any]) -> None:
    lost = [reference for reference in references(served) if not leads_somewhere(served, reference)]
    statuses = {status for item in served["paths"].values() for op in item.values() for status in op["responses"]}

    assert lost == []
    assert "422" not in statuses
    assert {"HTTPValidationError", "ValidationError"}.isdisjoint(served["components"]["schemas"])


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def leads_somewhere(root: dict[str, Any], reference: str) -> bool:
    node: Any = root
    for step in reference.removeprefix("#/").split("/"):
        node = node.get(step) if isinstance(node, dict) else None
    return node is not None


def test_every_operation_documents_400_and_401(served: dict[str, Any]) -> None:
    without = [
        (method, path, status)
        for path, item in served["paths"].items()
        for method, operation in item.items()
        for status in ("400", "401")
        if path.startswith(PREFIX)
        and "application/problem+json" not in operation["responses"].get(status, {}).get("content", {})
    ]

    assert without == []


def test_only_fields_that_may_be_null_are_nullable(served: dict[str, Any]) -> None:
    """A change with null is refused for a field that has no such value."""
    schemas = served["components"]["schemas"]
    nullable = {
        schema: {
            name for name, field in schemas[schema]["properties"].items() if {"type": "null"} in field.get("anyOf", ())
        }
        for schema in ("QuotaChange", "NewPool")
    }

    assert "weight" in schemas["QuotaChange"]["properties"]
    assert nullable == {
        "QuotaChange": {"user", "team", "maxConcurrentTests", "maxDailyTests", *CEILINGS},
        "NewPool": {"maxDailyTests", *CEILINGS},
    }


def parameter(document: Any, name: str) -> Any:
    return next(one for one in document["paths"]["/api/v1/tests"]["get"]["parameters"] if one["name"] == name)


@pytest.mark.parametrize(
    "damage",
    [
        lambda doc: doc["paths"].pop("/api/v1/tests"),
        lambda doc: doc["paths"]["/api/v1/tests"]["post"]["responses"].pop("429"),
        lambda doc: parameter(doc, "limit")["schema"].update(default=21),
        lambda doc: doc["components"]["schemas"]["TestRequest"]["required"].remove("content"),
        lambda doc: doc["components"]["schemas"]["TestRequest"]["properties"]["type"]["enum"].append("perl"),
        lambda doc: doc["components"]["schemas"]["ExecutionList"]["properties"].pop("total"),
    ],
)
def test_the_comparison_finds_each_damage(served: dict[str, Any], damage: Callable[[Any], object]) -> None:
    damage(served)

    assert len(list(differences(EXCERPT, served, served, ""))) == 1


# -- the bodies of section 1.2 ----------------------------------------------------------------------------------------

BODIES: list[Any] = [
    json.loads(block)
    for block in re.findall(r"```json\n(.*?)```", (DATA / "lld_api_examples.md").read_text(), re.DOTALL)
]
SCHEMAS = ("TestRequest", "TestResponse", "TestExecution")
EXAMPLES = [(body, f"#/components/schemas/{name}") for body, name in zip(BODIES, SCHEMAS, strict=True)]
OTHERWISE = {"executionId: 'exec-a1b2c3d4' is not a 'uuid'"}  # section 6.1 says uuid, and it is the later one


@pytest.mark.parametrize(("body", "reference"), EXAMPLES, ids=SCHEMAS)
def test_every_field_of_the_examples_is_in_the_served_schema(
    served: dict[str, Any], body: dict[str, Any], reference: str
) -> None:
    assert set(unlike(served, body, reference)) == (OTHERWISE if "executionId" in body else set())


@pytest.mark.parametrize(("body", "reference"), EXAMPLES, ids=SCHEMAS)
def test_the_comparison_with_the_examples_finds_each_renamed_field(
    served: dict[str, Any], body: dict[str, Any], reference: str
) -> None:
    """Rename each field in turn: the comparison must report it."""
    for place in list(fields(body)):
        other = json.loads(json.dumps(body))
        *above, name = place
        owner = other
        for step in above:
            owner = owner[step]
        owner[f"{name}X"] = owner.pop(name)

        assert set(unlike(served, other, reference)) - OTHERWISE or open_map(above), place


def test_the_only_problem_of_the_example_is_the_missing_executor(shared_api: Api) -> None:
    """The example of the original design is accepted except for its type, postman, which has no executor."""
    with shared_api.client() as client:
        told = client.post("/validate", json=BODIES[0]).json()["problems"]

    assert [problem["path"] for problem in told] == ["type"]


def unlike(served: dict[str, Any], body: Any, reference: str) -> Iterator[str]:
    """Yield the fields of a body that the schema lacks or has with another type. Further fields are allowed."""
    schema = {**closed(served), "$ref": reference}
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for error in validator.iter_errors(body):
        yield from (said for one in innermost(error) if (said := in_words(one)))


def innermost(error: ValidationError) -> Iterator[ValidationError]:
    if not error.context:
        yield error
    for inner in error.context or ():
        yield from innermost(inner)


def in_words(error: ValidationError) -> str:
    return "" if error.validator == "required" else f"{'.'.join(map(str, error.absolute_path))}: {error.message}"


def closed(node: Any) -> Any:
    """Return the schema with `additionalProperties: false` in each object."""
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    inner = {key: closed(value) for key, value in node.items()}
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        inner.setdefault("additionalProperties", False)
    return inner


def fields(body: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in body.items():
        yield (*place, name)
        if isinstance(value, dict):
            yield from fields(value, (*place, name))


def open_map(place: list[str]) -> bool:
    """Say whether the object there may have any keys."""
    return place in (["labels"], ["config", "env"])


TRIED = {
    "post /tests": {},
    "post /suites/runs": {},
    "post /validate": {},
    "post /runs": {},
    "post /chaos/experiments": {},
    "put /chaos/connections/{name}": {"name": "pagerduty"},
    "post /chaos/stop": {},
    "post /chaos/cordons": {},
    "post /teams": {},
    "put /teams/{team}/uses": {"team": "default"},
    "put /teams/{team}/chaos-rules": {"team": "default"},
    "post /users": {},
    "put /quota": {},
    "patch /quota": {},
    "post /pools": {},
    "put /pools/{name}": {"name": "default"},
    "patch /pools/{name}": {"name": "default"},
    "put /clusters/{name}": {"name": "lab"},
    "put /secrets/{name}": {"name": "api_key"},
    "put /deployments/{name}/user": {"name": "suite-run/nightly"},
}
"""The operations with a JSON body, and values for their paths."""
TRIED_ELSEWHERE = {"post /chaos/executions/{executionId}/approve", "post /chaos/executions/{executionId}/deny"}
"""They need a second person: `test_chaos_approvals`."""


def json_bodies(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method} {path.removeprefix(PREFIX)}": operation["requestBody"]["content"]["application/json"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    }


def example_of(body: dict[str, Any], document: dict[str, Any]) -> Any:
    """The body that the pages fill in: the example, or the examples of all its fields."""
    if "example" in body:
        return body["example"]
    properties = resolved(body["schema"], None, document)["properties"]
    return {name: field.get("examples", [field.get("default")])[0] for name, field in properties.items()}


def test_every_body_of_the_document_is_tried(served: dict[str, Any]) -> None:
    assert set(json_bodies(served)) == set(TRIED) | TRIED_ELSEWHERE


@pytest.mark.parametrize("operation", TRIED)
def test_what_the_pages_fill_in_is_accepted(operation: str, client: httpx.Client, served: dict[str, Any]) -> None:
    method, path = operation.split(" ")

    answer = client.request(
        method, path.format(**TRIED[operation]), json=example_of(json_bodies(served)[operation], served)
    )

    assert answer.status_code < 300, answer.text
