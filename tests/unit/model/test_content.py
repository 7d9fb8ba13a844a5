import pytest

from model.content import ArtifactContent, entries, entry_paths


@pytest.mark.parametrize(
    ("path", "named", "paths"),
    [
        (".", (), (".",)),
        ("tests", ("tests",), ("tests",)),
        (("tests/a.py::test_one", "b"), ("tests/a.py::test_one", "b"), ("tests/a.py", "b")),
    ],
)
def test_a_content_names_what_is_run_of_it_and_nothing_if_that_is_all(
    path: str | tuple[str, ...], named: tuple[str, ...], paths: tuple[str, ...]
) -> None:
    content = ArtifactContent(sha256="0" * 64, path=path)

    assert entries(content) == named
    assert entry_paths(content) == paths
