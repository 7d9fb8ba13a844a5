from model.schema import not_null


def test_in_the_schema_of_a_change_only_the_named_fields_may_be_null() -> None:
    may_be_null = {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}

    schema = not_null({"type": "object", "properties": {"most": may_be_null, "least": may_be_null}}, {"most"})

    assert schema == {"type": "object", "properties": {"most": may_be_null, "least": {"type": "integer"}}}
