"""Figures are shared in memory, in a folder that is ours and empty."""

from pathlib import Path

from switchboard.ops.shared_figures import prepare_shared_figures


def test_a_folder_in_memory_is_emptied_of_earlier_figures(tmp_path: Path) -> None:
    home, memory = tmp_path / "home", tmp_path / "memory"
    memory.mkdir()
    folder = prepare_shared_figures(home, memory=memory)
    assert folder.parent == memory
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "counter_1.db").touch()
    assert prepare_shared_figures(home, memory=memory) == folder
    assert list(folder.iterdir()) == []
    assert prepare_shared_figures(tmp_path / "other", memory=memory) != folder


def test_without_a_place_in_memory_the_home_is_taken(tmp_path: Path) -> None:
    folder = prepare_shared_figures(tmp_path / "home", memory=tmp_path / "nowhere")
    assert folder == tmp_path / "home" / "metrics"
    assert folder.is_dir()
