import json
from pathlib import Path

import pytest

from cli.failure import UnreachableError
from cli.server_discovery import PrefectServer, find_prefect, find_server


def stack(project: Path, url: str = "http://127.0.0.1:4300", key: str = "secret-key") -> Path:
    state = project / ".assay"
    state.mkdir(parents=True)
    (state / "stack.json").write_text(json.dumps({"api_url": url}))
    (state / "api-key").write_text(f"{key}\n")
    return state


def test_the_environment_wins(tmp_path: Path) -> None:
    stack(tmp_path)

    server = find_server({"ASSAY_URL": "http://ci:1/", "ASSAY_API_KEY": "k"}, tmp_path)

    assert (server.url, server.key) == ("http://ci:1", "k")


def test_the_nearest_state_folder_upwards_is_used(tmp_path: Path) -> None:
    stack(tmp_path)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)

    server = find_server({}, below)

    assert (server.url, server.key) == ("http://127.0.0.1:4300", "secret-key")


def test_a_named_state_folder_is_used_from_anywhere(tmp_path: Path) -> None:
    state = stack(tmp_path / "elsewhere")

    assert find_server({"ASSAY_STATE": str(state)}, tmp_path).key == "secret-key"


def test_the_key_is_not_shown(tmp_path: Path) -> None:
    stack(tmp_path)

    assert "secret-key" not in repr(find_server({}, tmp_path))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"api_url": null}'])
def test_a_stack_that_names_no_address_is_unreachable_and_says_what_to_do(tmp_path: Path, content: str) -> None:
    (stack(tmp_path) / "stack.json").write_text(content)

    with pytest.raises(UnreachableError, match="assay up"):
        find_server({}, tmp_path)


def test_no_stack_and_no_key_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="ASSAY_URL"):
        find_server({}, tmp_path)
    (stack(tmp_path) / "api-key").unlink()
    with pytest.raises(UnreachableError, match="API key"):
        find_server({}, tmp_path)


def test_prefect_is_found_by_the_environment_or_beside_the_api(tmp_path: Path) -> None:
    state = stack(tmp_path)
    (state / "stack.json").write_text('{"prefect_url": "http://127.0.0.1:4200"}')
    (state / "prefect-credential").write_text("assay:a secret\n")
    named = {"PREFECT_API_URL": "http://ci/api"}

    assert find_prefect(named, tmp_path) == PrefectServer(url="http://ci/api", credential=None)
    assert find_prefect({**named, "PREFECT_API_AUTH_STRING": "a:b"}, tmp_path).credential == "a:b"
    assert find_prefect({}, tmp_path) == PrefectServer(url="http://127.0.0.1:4200/api", credential="assay:a secret")
    with pytest.raises(UnreachableError, match="PREFECT_API_URL"):
        find_prefect({}, tmp_path / "..")
