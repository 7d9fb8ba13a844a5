from model.result import Outcome, Result, ResultIdentity


def test_each_text_of_a_result_is_changed_and_one_without_an_identity_gets_none() -> None:
    plain = Result(name="a", outcome=Outcome.FAILED, message="b", trace="c")
    known = Result(name="a", outcome=Outcome.PASSED, identity=ResultIdentity(suite="s", name="n", parameters="p"))

    changed = [one.with_texts(str.upper) for one in (plain, known)]

    assert (changed[0].name, changed[0].message, changed[0].trace, changed[0].identity) == ("A", "B", "C", None)
    assert changed[1].identity == ResultIdentity(suite="S", name="N", parameters="P")
