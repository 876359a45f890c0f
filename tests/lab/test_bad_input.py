"""A place where the lab cannot work: one clear sentence, not 0, and nothing half-made left."""

from __future__ import annotations

import ast
import json
import os
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamlib import lab
from streamlib.lab.machine import processes, server
from streamlib.scenarios.home import checkout
from tests.waits import without_waits

from .conftest import Program

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("own_home")]

Run = Callable[..., Program]
LAB = ("-m", "streamlib.lab")


def refuses(program: Program, *words: str) -> None:
    """Ends with 1 and one line that holds these words; nothing of it runs on."""
    assert program.ends() == 1, program.printed
    lines = without_waits(program.printed).splitlines()
    said = [line for line in lines if not line.startswith("the notebooks")]
    assert len(said) == 1, program.printed
    assert all(word in said[0] for word in words), program.printed
    assert processes.marked() == []


def in_a_namespace(mounts: str) -> list[str]:
    """Python where these mounts are: a full disk, or a read-only one, for one program only."""
    script = f'{mounts} && exec {shlex.quote(sys.executable)} "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]


linux = pytest.mark.skipif(sys.platform != "linux", reason="mounts in a namespace are Linux's")


@pytest.mark.parametrize("command", ["start", "stop", "lab"])
async def test_a_state_folder_that_is_a_file(run: Run, tmp_path: Path, command: str) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    program = run(*LAB, command, STREAMLIB_HOME=str(path))
    if command == "stop":
        assert (program.ends(), program.printed) == (0, "nothing was running\n")
    else:
        refuses(program, f"{path} is not a folder. Set STREAMLIB_HOME")
    assert path.read_text() == "mine"


async def test_the_doctor_says_what_is_wrong_with_the_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    monkeypatch.setenv("STREAMLIB_HOME", str(path))
    [part] = [part for part in (await lab.doctor()).parts if part.name == "state"]
    assert (part.ok, part.says) == (False, f"{path} is not a folder")
    assert "STREAMLIB_HOME" in part.todo


async def test_the_doctor_says_that_a_namespace_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running = await server.start()
    monkeypatch.setenv("TEMPORAL_ADDRESS", running.address)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "nope")
    [part] = [part for part in (await lab.doctor()).parts if part.name == "namespace"]
    assert not part.ok
    assert "'nope'" in part.says
    assert "TEMPORAL_NAMESPACE" in part.todo


@linux
async def test_a_full_disk(run: Run, tmp_path: Path) -> None:
    full = f"mount -t tmpfs -o size=64k,mode=700 none {tmp_path / 'full'}"
    (tmp_path / "full").mkdir()
    program = run(*LAB, "start", python=in_a_namespace(full), STREAMLIB_HOME=f"{tmp_path}/full")
    refuses(program, "disk is full")


@linux
async def test_a_home_that_is_read_only(run: Run, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    program = run(
        *LAB, "lab", python=in_a_namespace(f"mount -t tmpfs -o ro none {theirs}"), HOME=str(theirs)
    )
    refuses(program, f"JupyterLab must write in {theirs}", "read-only", "JUPYTER_DATA_DIR")


@linux
async def test_a_state_folder_that_is_read_only(run: Run, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    python = in_a_namespace(f"mount -t tmpfs -o ro none {theirs}")
    for place in (theirs, theirs / "below"):
        refuses(run(*LAB, "start", python=python, STREAMLIB_HOME=str(place)), str(place))


@linux
async def test_ports_that_are_all_taken(run: Run) -> None:
    code = (
        "import resource, socket, subprocess, sys\n"
        "subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))\n"
        "taken = [socket.create_server(('127.0.0.1', 7233 + n)) for n in range(1100)]\n"
        "from streamlib_cli import main\n"
        "sys.exit(main(['start']))"
    )
    namespace = ["unshare", "--user", "--map-root-user", "--net", sys.executable]
    program = run("-c", code, python=namespace, STREAMLIB_PORT="7233")
    refuses(program, "no free port between 7233 and 8233")


@pytest.mark.parametrize("port", ["x", "80", "70000", "-1", "７２３３", "1" * 500])
async def test_a_port_that_cannot_be_is_refused(run: Run, port: str) -> None:
    refuses(run(*LAB, "start", STREAMLIB_PORT=port), "STREAMLIB_PORT is", "1024 to 60000")


async def test_a_database_that_is_none_is_named_and_reset_puts_it_aside(
    run: Run, own_home: Path
) -> None:
    own_home.mkdir(mode=0o700)
    (own_home / "temporal.db").write_text("this is not a database, and longer than nothing")
    program = run(*LAB, "start")
    refuses(program, str(own_home / "temporal.db"), "`streamlib doctor --reset`")
    reset = run(*LAB, "doctor", "--reset")
    assert reset.ends() == 0
    assert f"put aside: {own_home}/temporal.db.aside" in reset.printed
    assert run(*LAB, "start").ends() == 0
    assert (own_home / "temporal.db.aside").read_text().startswith("this is not")


async def test_reset_ends_everything_first(run: Run, own_home: Path) -> None:
    assert run(*LAB, "start").ends() == 0
    assert run(*LAB, "doctor", "--reset").ends() == 0
    assert processes.marked() == []
    assert processes.names() == []
    assert not (own_home / "temporal.db").exists()


@pytest.mark.parametrize(
    "facts",
    [{}, {"address": "127.0.0.1:1"}, {"address": "x", "grpc_port": "99999", "ui_port": "y"}],
)
async def test_a_record_of_a_server_without_its_facts_counts_as_none(
    own_home: Path, facts: dict[str, str]
) -> None:
    record = own_home / "run" / "server.json"
    record.parent.mkdir(parents=True, mode=0o700)
    own_home.chmod(0o700)
    record.write_text(json.dumps({"pid": os.getpid(), "born": "x", "facts": facts}))
    assert server.last() is None
    assert await server.status() is None
    assert (await server.start()).alive


@pytest.fixture
def tls_only(tmp_path: Path) -> Iterator[int]:
    """The port of a server that speaks TLS and nothing else."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    make += f" -subj /CN=localhost -keyout {key} -out {certificate}"
    subprocess.run(make.split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                context.wrap_socket(connection, server_side=True).close()
            except (OSError, ValueError):
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield int(listener.getsockname()[1])
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


async def test_a_server_that_speaks_tls_only_is_said_to(run: Run, tls_only: int) -> None:
    program = run("worker.py", TEMPORAL_ADDRESS=f"127.0.0.1:{tls_only}")
    refuses(program, f"127.0.0.1:{tls_only}", "it speaks TLS: set TEMPORAL_TLS=true")


async def test_a_temporal_that_never_listens_is_ended_with_all_it_started(
    run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "path"
    folder.mkdir()
    program = folder / "temporal"
    program.write_text(
        "#!/bin/sh\n"
        "[ $1 = --version ] && echo 'temporal version 9.9.9 (Server 9.9.9, UI 1.0.0)' && exit\n"
        "trap '' TERM\nsleep 600 &\nwait\nsleep 600\n"
    )
    program.chmod(0o755)
    code = (
        "import sys; from streamlib.lab.machine import server; server.READY_TIMEOUT = 2.0\n"
        "from streamlib_cli import main; sys.exit(main(['start']))"
    )
    refused = run("-c", code, PATH=f"{folder}:/usr/bin:/bin")
    assert refused.ends() == 1
    assert "the Temporal dev server does not answer after 2 s" in refused.printed
    assert processes.marked() == []
    assert server.last() is None


@pytest.mark.parametrize("python", ["python3.9", "python3.8"])
def test_an_old_python_is_told_so_in_one_line(python: str, tmp_path: Path) -> None:
    """By what such a Python can read: it is given to one where there is one, else looked at."""
    root = checkout()
    assert root is not None
    kept = sorted(Path.home().glob(f".pyenv/versions/{python.removeprefix('python')}.*/bin/python"))
    if kept:
        done = subprocess.run([kept[-1], root / "worker.py"], capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith("streamlib needs Python 3.10 or later; this is 3.")
        assert done.stderr.count("\n") == 1
        for name in ("Makefile", "pyproject.toml", "requirements.lock"):
            shutil.copy(root / name, tmp_path)
        command = ["make", f"PYTHON={kept[-1]}", "lab"]
        made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert made.returncode != 0
        assert "streamlib needs Python 3.10 or later" in made.stderr
        assert not (tmp_path / ".venv").exists()
    version = (3, int(python.rpartition(".")[2]))
    for name in ("worker.py", "streamlib_cli.py"):
        ast.parse((root / name).read_text(), feature_version=version)
