"""Lines of code of the library's parts, docstrings, comments and blank lines apart.

`python tools/sizes.py` prints them beside their budgets; the exit code is 1 if one is exceeded.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "streamlib"

PARTS: dict[str, tuple[int | None, tuple[str, ...]]] = {
    "core": (350, ("errors", "log", "dedup", "outbox", "cursor")),
    "wire": (None, ("binding", "wire")),
    "workflow side": (300, ("stream", "topic", "carry")),
    "client side": (600, ("transport", "feed", "publisher", "subscriber", "client")),
    "optional": (None, ("ledger", "describe", "rollover", "compress", "tally", "watch")),
}

NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def code_lines(source: str) -> int:
    """How many lines hold code."""
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(lines - docstring_lines(source))


def docstring_lines(source: str) -> set[int]:
    """The lines of strings that stand alone: docstrings, and those below attributes."""
    return {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def main() -> int:
    """Print every part; 1 if one is over its budget."""
    over = False
    for part, (budget, names) in PARTS.items():
        paths = [path for name in names if (path := PACKAGE / f"{name}.py").is_file()]
        sizes = {path.stem: code_lines(path.read_text()) for path in paths}
        total = sum(sizes.values())
        over = over or (budget is not None and total > budget)
        detail = ", ".join(f"{name} {size}" for name, size in sizes.items())
        limit = "" if budget is None else f" of {budget}"
        print(f"{part}: {total}{limit} lines of code ({detail})")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
