"""`python -m streamlib.lab`: the same as the command `streamlib`, for where that is not on PATH."""

from __future__ import annotations

import sys

from streamlib_cli import main

if __name__ == "__main__":
    sys.exit(main())
