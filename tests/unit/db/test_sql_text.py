import pytest

from db.sql_text import sql


def test_each_name_becomes_its_part_and_parameters_stay() -> None:
    one = sql("pool = :pool AND level = ${level}", level=-1)

    assert sql("SELECT $columns FROM queue WHERE $one", columns="seq, pool", one=one) == (
        "SELECT seq, pool FROM queue WHERE pool = :pool AND level = -1"
    )


@pytest.mark.parametrize("parts", [{}, {"columns": "seq", "colums": "pool"}])
def test_a_part_too_few_or_too_many_is_an_error(parts: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="the template has"):
        sql("SELECT $columns FROM queue", **parts)
