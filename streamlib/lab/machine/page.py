"""The dev server's web page: at which address a browser reaches it, if it does.

On one's own machine that is loopback. Behind a hub the browser is on another machine: there the
page is reached through `jupyter-server-proxy`, where that is installed, and else not at all.
`$STREAMLIB_UI_URL` says otherwise: an address, `{port}` in it is the page's; or `none`.
"""

from __future__ import annotations

import importlib.util
import os
from urllib.parse import urlsplit

SETTING = "STREAMLIB_UI_URL"
HUB = "JUPYTERHUB_SERVICE_PREFIX"
"""What a JupyterHub or a Binder tells every server: the path that it is at."""


def link(port: int) -> str | None:
    """The page's address without a last slash, for a dev server whose page is on that port.

    Returns:
        None if a browser cannot reach it. Behind a hub a path, on the notebook's own host.
    """
    if os.environ.get(SETTING):
        return external_link(port)
    if prefix := os.environ.get(HUB):
        return f"{prefix.rstrip('/')}/proxy/absolute/{port}" if _has_proxy() else None
    return f"http://127.0.0.1:{port}"


def external_link(port: int | str = "") -> str | None:
    """The address that `$STREAMLIB_UI_URL` names, which may be that of one's own cluster."""
    chosen = os.environ.get(SETTING, "").replace("{port}", str(port)).rstrip("/")
    web = urlsplit(chosen).scheme in ("http", "https") or chosen.startswith("/")
    return chosen if web else None


def options(port: int) -> list[str]:
    """What the dev server must be told, so that its page works at that address."""
    path = urlsplit(link(port) or "").path
    return ["--ui-public-path", path] if path else []


def _has_proxy() -> bool:
    return importlib.util.find_spec("jupyter_server_proxy") is not None
