"""The state folder: made private, never changed when it is there, and nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamlib.scenarios import home as homes
from streamlib.scenarios.home import HomeError, home, learner, subfolder, write_private


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "chosen"
    monkeypatch.setenv("STREAMLIB_HOME", str(folder))
    return folder


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_it_is_made_private(chosen: Path) -> None:
    assert homes.problem() == ""
    assert mode(home()) == 0o700
    assert mode(subfolder("logs")) == 0o700


def test_one_that_exists_is_not_changed(chosen: Path) -> None:
    chosen.mkdir(mode=0o755)
    chosen.chmod(0o755)
    (chosen / "theirs").write_text("theirs")
    home()
    subfolder("logs")
    assert mode(chosen) == 0o755
    assert (chosen / "theirs").read_text() == "theirs"


def test_one_in_which_others_may_write_is_refused(chosen: Path) -> None:
    chosen.mkdir()
    chosen.chmod(0o777)
    with pytest.raises(HomeError, match="others may write in"):
        home()
    assert mode(chosen) == 0o777
    assert list(chosen.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_one_of_another_user_is_refused(chosen: Path) -> None:
    chosen.mkdir(mode=0o700)
    os.chown(chosen, 12345, 12345)
    with pytest.raises(HomeError, match=r"belongs to another user \(uid 12345\)"):
        home()


def test_a_file_in_its_place_is_named(chosen: Path) -> None:
    chosen.write_text("")
    with pytest.raises(HomeError, match=r"is not a folder\. Set STREAMLIB_HOME"):
        home()


def test_a_folder_in_a_file_is_named(chosen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen.write_text("")
    monkeypatch.setenv("STREAMLIB_HOME", str(chosen / "below"))
    with pytest.raises(HomeError, match="cannot be made"):
        home()


def test_no_link_in_it_is_followed(chosen: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "file").write_text("precious")
    (home() / "run").symlink_to(foreign)
    with pytest.raises(HomeError, match="not a folder of ours"):
        subfolder("run")
    (home() / "profile").symlink_to(foreign / "file")
    write_private(home() / "profile", "ours")
    assert (foreign / "file").read_text() == "precious"
    assert ((home() / "profile").read_text(), mode(home() / "profile")) == ("ours", 0o600)


def test_what_cannot_be_written_whole_leaves_what_was_there(chosen: Path) -> None:
    path = home() / "file"
    write_private(path, "before")
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "\ud800")
    assert path.read_text() == "before"
    assert list(home().iterdir()) == [path]


def test_a_learner_has_one_name_for_good_and_another_home_another(
    chosen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = learner()
    assert (len(name), name) == (6, learner())
    monkeypatch.setenv("STREAMLIB_HOME", str(tmp_path / "other"))
    assert learner() != name


@pytest.mark.skipif(sys.platform != "linux", reason="mounts in a namespace are Linux's")
def test_a_disk_that_is_full_in_mid_run_is_said_in_one_sentence(tmp_path: Path) -> None:
    code = (
        "from streamlib.scenarios.home import HomeError, home, write_private\n"
        "path = home() / 'file'; write_private(path, 'before')\n"
        "try: write_private(path, 'x' * 100_000)\n"
        "except HomeError as error: print(error)\n"
        "print(path.read_text(), [each.name for each in home().iterdir()])"
    )
    script = f'mount -t tmpfs -o size=64k,mode=700 none {tmp_path} && exec "$0" -c "$1"'
    done = subprocess.run(
        [
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            sys.executable,
            code,
        ],
        env={**os.environ, "STREAMLIB_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    first, second = done.stdout.splitlines()
    assert (
        first == f"{tmp_path}/file cannot be written: the disk is full: make room, then try again."
    )
    assert second == "before ['file']"
