"""Firefox, driven over WebDriver BiDi: what Debian's package and a socket can do by themselves.

    Firefox  a browser without a window, in a profile of its own
    Tab      a page in it: `until` a condition holds, `click`, `fill`
    Bidi     the socket to it, and what its pages asked for and said

Selectors are CSS; expressions are JavaScript and may give a promise.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import websocket

SECONDS = 60.0
"""What a slow machine may take for anything."""

KEYS = {"End": "\ue010", "Enter": "\ue007"}
"""What WebDriver calls them."""

PREFERENCES = {
    # It calls nobody by itself.
    "app.update.disabledForTesting": True,
    "app.normandy.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}


@dataclass
class Tab:
    """One page."""

    bidi: Bidi
    context: str

    def goto(self, url: str) -> None:
        """Load a page, to its end."""
        self.bidi.call("browsingContext.navigate", context=self.context, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, by way of JSON.

        Raises:
            RuntimeError: It threw.
        """
        answer = self.bidi.call(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression}) ?? null))()",
            target={"context": self.context},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']['text']}")
        return json.loads(answer["result"]["value"])

    def until(self, expression: str, seconds: float = SECONDS) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + seconds
        while not self.evaluate(f"!!({expression})"):
            assert time.monotonic() < deadline, f"not within {seconds} s: {expression}"
            time.sleep(0.1)

    def click(self, selector: str) -> None:
        """Press the mouse on the middle of the first element, scrolled into view."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.until(found)
        self.evaluate(f"{found}.scrollIntoView({{block: 'center'}})")
        nodes = self.bidi.call(
            "browsingContext.locateNodes",
            context=self.context,
            locator={"type": "css", "value": selector},
            maxNodeCount=1,
        )["nodes"]
        origin = {"type": "element", "element": {"sharedId": nodes[0]["sharedId"]}}
        move = {"type": "pointerMove", "x": 0, "y": 0, "origin": origin}
        press = [{"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp")]
        mouse = {"type": "pointer", "id": "mouse", "actions": [move, *press]}
        self.bidi.call("input.performActions", context=self.context, actions=[mouse])

    def fill(self, selector: str, text: str) -> None:
        """Type a text in the place of what is in a field."""
        self.click(selector)
        self.evaluate(f"document.querySelector({json.dumps(selector)}).select()")
        self._type(text)

    def press(self, key: str) -> None:
        """Press a key by its name, where the focus is."""
        self._type(KEYS[key])

    def _type(self, text: str) -> None:
        keys = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        board = {"type": "key", "id": "keys", "actions": keys}
        self.bidi.call("input.performActions", context=self.context, actions=[board])

    def screenshot(self, path: Path) -> None:
        """What can be seen of it, as a picture."""
        data = self.bidi.call("browsingContext.captureScreenshot", context=self.context)["data"]
        path.write_bytes(base64.b64decode(data))


@dataclass
class Bidi:
    """The socket: calls go out with a number, events come in between."""

    socket: websocket.WebSocket
    asked: list[str] = field(default_factory=list[str])
    """The addresses that pages asked for."""
    errors: list[str] = field(default_factory=list[str])
    """On the console, or thrown."""
    _calls: int = 0

    def call(self, method: str, **params: Any) -> Any:
        """Call, and return the result.

        Raises:
            RuntimeError: The browser says that it went wrong.
        """
        self._calls += 1
        self.socket.send(json.dumps({"id": self._calls, "method": method, "params": params}))
        while True:
            told = json.loads(self.socket.recv())
            if told.get("id") == self._calls:
                if told["type"] == "error":
                    raise RuntimeError(f"{method}: {told['error']}: {told['message']}")
                return told["result"]
            self._note(told)

    def _note(self, event: dict[str, Any]) -> None:
        match event.get("method"):
            case "network.beforeRequestSent":
                self.asked.append(event["params"]["request"]["url"])
            case "log.entryAdded" if event["params"]["level"] == "error":
                self.errors.append(event["params"]["text"])
            case _:
                pass


@contextlib.contextmanager
def firefox(path: str) -> Iterator[Bidi]:
    """A Firefox, with a session in it; both are ended."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        lines = (f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items())
        Path(folder, "user.js").write_text("\n".join(lines))
        command = [path, "--headless", "--no-remote", "--profile", folder]
        log = Path(folder, "log")
        with log.open("wb") as said:
            process = subprocess.Popen(
                [*command, "--remote-debugging-port=0", "--width=1280", "--height=900"],
                env={**os.environ, "HOME": folder, "MOZ_CRASHREPORTER_DISABLE": "1"},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        try:
            address = f"{_address(process, log)}/session"
            # With an origin it takes us for a page, and refuses.
            bidi = Bidi(websocket.create_connection(address, timeout=120, suppress_origin=True))
            bidi.call("session.new", capabilities={})
            events = ["log.entryAdded", "network.beforeRequestSent"]
            bidi.call("session.subscribe", events=events)
            yield bidi
            bidi.socket.close()
        finally:
            process.terminate()
            process.wait(20)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"no Firefox came up: {log.read_text()}")


def new_tab(bidi: Bidi) -> Tab:
    """A page that is open already, or a new one."""
    return Tab(bidi, bidi.call("browsingContext.create", type="tab")["context"])


def path_of_firefox() -> str | None:
    """The Firefox that is here, if there is one."""
    return next((p for name in ("firefox-esr", "firefox") if (p := shutil.which(name))), None)
