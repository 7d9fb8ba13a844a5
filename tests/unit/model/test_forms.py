"""The entries of a suite: folders, files, and single tests by their node ids."""

import pytest

from model.forms import entry


@pytest.mark.parametrize(
    "text", [".", "api", "api/test_a.py", "test_a.py::test_c", "api/test_a.py::TestB::test_c[x-1]"]
)
def test_a_folder_a_file_and_a_test_of_a_file_are_entries(text: str) -> None:
    assert entry(text) == text


@pytest.mark.parametrize("text", [".::test_c", "test_a.py::"])
def test_a_test_needs_a_file_and_a_name(text: str) -> None:
    with pytest.raises(ValueError, match="must name a file before '::' and a test behind it"):
        entry(text)


@pytest.mark.parametrize("text", ["../test_a.py::test_c", "/test_a.py", "::test_c", "test_a.py::test\x00"])
def test_an_entry_stays_inside_of_the_content(text: str) -> None:
    with pytest.raises(ValueError, match="must "):
        entry(text)
