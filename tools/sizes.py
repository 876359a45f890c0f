"""Lines of code by folder, docstrings, comments and blank lines apart, and what is too large.

`python tools/sizes.py` prints them, and exits with 1 if a file, a class or a function of the
library is larger than a reader can take in at once.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "streamlib"

FILE, CLASS, FUNCTION = 300, 250, 40
"""The most lines of code that one may have."""

FOLDERS = ("core", "wire", "host", "client", "scenarios", "lab")
BOUND = ("errors.py", "__init__.py", "core", "wire", "host", "client", "scenarios", "lab")
"""Where those limits hold."""

NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def code_lines(source: str) -> set[int]:
    """The lines that hold code."""
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    return lines - docstring_lines(source)


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


def too_large(source: str, name: str) -> Iterator[str]:
    """What in this file is above its limit, by name and size."""
    lines = code_lines(source)
    if len(lines) > FILE:
        yield f"{name}: {len(lines)} lines of code, {FILE} are the most"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            limit = CLASS if isinstance(node, ast.ClassDef) else FUNCTION
            size = len(lines & {*range(node.lineno, (node.end_lineno or node.lineno) + 1)})
            if size > limit:
                yield f"{name}: {node.name} has {size} lines of code, {limit} are the most"


def main(package: Path = PACKAGE) -> int:
    """Print every folder; 1 if something is too large."""
    for folder in FOLDERS:
        sizes = {
            path.relative_to(package / folder).with_suffix("").as_posix(): len(
                code_lines(path.read_text(encoding="utf-8"))
            )
            for path in sorted((package / folder).rglob("*.py"))
        }
        detail = ", ".join(f"{name} {size}" for name, size in sizes.items() if size)
        print(f"{folder}: {sum(sizes.values()):,} lines of code ({detail})")
    wrong = [
        line
        for path in sorted(package.rglob("*.py"))
        if any(path.is_relative_to(package / each) for each in BOUND)
        for line in too_large(
            path.read_text(encoding="utf-8"), path.relative_to(package).as_posix()
        )
    ]
    print("\n".join(wrong) if wrong else "nothing is too large")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
