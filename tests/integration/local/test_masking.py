"""The secret values that are kept with a running attempt."""

from pathlib import Path

from cluster.local import masking


def test_the_values_of_every_start_are_kept_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "1"
    masking.keep(folder, {"token": "old", "other": 'ü\n"x'})
    masking.keep(folder, {"token": "new"})

    assert masking.kept(folder, ["token", "other", "unknown"]) == {"old", "new", 'ü\n"x'}
    assert masking.kept(folder, ["other"]) == {'ü\n"x'}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_without_secrets_nothing_is_written(tmp_path: Path) -> None:
    masking.keep(tmp_path / "run", {})

    assert not (tmp_path / "run").exists()
    assert masking.kept(tmp_path / "run", ["token"]) == frozenset()


def test_what_a_test_puts_there_harms_nobody(tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere"
    secret.write_text('{"token": "of somebody else"}')
    masking.keep(tmp_path, {"token": "mine"})
    (tmp_path / "mask.link").symlink_to(secret)
    (tmp_path / "mask.folder").mkdir()
    (tmp_path / "mask.half").write_text('{"token": "ha')
    (tmp_path / "mask.list").write_text("[1]")
    (tmp_path / "mask.number").write_text('{"token": 7}')

    assert masking.kept(tmp_path, ["token"]) == {"mine"}


def test_what_was_kept_is_discarded(tmp_path: Path) -> None:
    masking.keep(tmp_path, {"token": "mine"})

    masking.discard(tmp_path)
    masking.discard(tmp_path)

    assert list(tmp_path.iterdir()) == []
