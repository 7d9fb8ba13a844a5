"""What the Prefect UI is given to draw, and that our worker type is known to Prefect."""

from typing import Any

from prefect.utilities.callables import parameter_schema
from prefect.workers.base import BaseWorker

from flows.suite_run import suite_run
from flows.test_run import test_run as flow_of_a_test
from flows.worker import AssayWorker


def properties(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema["properties"]
    return found


def test_the_form_of_test_run_has_the_fields_in_the_order_that_people_fill_them() -> None:
    test = properties(parameter_schema(flow_of_a_test).model_dump_for_openapi())["test"]

    fields = sorted(properties(test), key=lambda name: properties(test)[name]["position"])

    assert fields[:3] == ["name", "type", "content"]
    assert test["required"] == ["name", "type", "content"]


def test_content_is_a_choice_that_the_ui_can_draw() -> None:
    test = properties(parameter_schema(flow_of_a_test).model_dump_for_openapi())["test"]

    choices = properties(test)["content"]["anyOf"]

    assert [properties(choice)["type"]["default"] for choice in choices] == ["git", "inline", "artifact", "archive"]


def test_both_flows_show_what_their_parameters_mean() -> None:
    for flow in (flow_of_a_test, suite_run):
        for field in properties(parameter_schema(flow).model_dump_for_openapi()).values():
            assert field["description"]


def test_prefect_knows_our_worker_type() -> None:
    assert "assay" in BaseWorker.get_all_available_worker_types()
    assert BaseWorker.get_worker_class_from_type("assay") is AssayWorker
