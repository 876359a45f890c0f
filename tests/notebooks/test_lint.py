"""What a notebook in the repository must look like; no kernel is needed to see it."""

from __future__ import annotations

import ast
import builtins
import math
import re

import nbformat
import pytest
from nbformat import NotebookNode

from streamlib.lab.lessons.questions import QUESTIONS, quoted
from tests.notebooks import running

TAGS = {"setup", "predict", "exercise", "solution", "raises-exception", "skip-execution"}

FORBIDDEN = {
    r"^\s*[!%]": "shell commands and magics",
    r"\btime\.sleep\b": "blocking the loop",
    r"\basyncio\.run\b": "top-level await does it",
    r"\brun_until_complete\b": "top-level await does it",
    r"\binput\(": "waiting for a keyboard that Run All does not have",
    r"(\b\w+|\))\._[a-z]": "private names",
    r"^\s*class ": "library logic",
}

OTHER_WORDS = ["head", "tail", "message", "messages", "entry", "entries", "pending", "exactly once"]

pytestmark = pytest.mark.parametrize("name", running.names())


def prose(notebook: NotebookNode) -> str:
    """The Markdown's words: no code, no figures, no markup."""
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return re.sub(r"!\[[^\]]*\]\([^)]*\)|```.*?```|`[^`]*`|<[^>]+>", " ", text, flags=re.DOTALL)


def test_it_is_valid_and_carries_nothing_of_a_run(name: str) -> None:
    notebook = running.read(name)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata, running.RAN
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None), f"{cell.id}: {running.RAN}"


def test_its_size_is_a_lesson_s(name: str) -> None:
    notebook = running.read(name)
    assert len(notebook.cells) <= 35
    assert len(re.findall(r"[A-Za-z0-9][\w'’.-]*", prose(notebook))) <= 900
    for cell in notebook.cells:
        lines = cell.source.splitlines()
        if cell.cell_type == "code":
            assert len(lines) <= 15, cell.id
            assert max(map(len, lines)) <= 90, cell.id


def test_it_says_how_long_it_takes_as_counted(name: str) -> None:
    """Words at 180 a minute, a code cell 20 seconds, a prediction one minute, an exercise three;
    one that asks for a file takes ten."""
    notebook = running.read(name)
    sources = [source for _, source in running.code_cells(name)]
    words = len(re.findall(r"[A-Za-z0-9][\w'’.-]*", prose(notebook)))
    asked = sum(source.count("lab.predict(") + 3 * source.count("lab.check(") for source in sources)
    asked += 7 * len(re.findall(r'lab\.check\("[\d.]+", "\w+\.py"\)', "\n".join(sources)))
    counted = words / 180 + len(sources) / 3 + asked
    (said,) = re.findall(r"\*\* (\d+) minutes", notebook.cells[0].source)
    assert int(said) == 5 * math.ceil(counted / 5), counted


def test_its_questions_are_those_that_the_lab_knows_with_their_choices(name: str) -> None:
    for cell, source in running.code_cells(name):
        for number in re.findall(r'lab\.(?:predict|compare)\("([\d.]+)"', source):
            assert number in QUESTIONS, cell
        asks = r'lab\.predict\("([\d.]+)", answer=\.\.\.\)(?:   # (?:\w+: )?(.*))?$'
        for number, said in re.findall(asks, source, re.MULTILINE):
            choices = QUESTIONS[number].choices
            assert said == (quoted(choices) if choices else ""), cell


def needed(source: str) -> tuple[set[str], set[str], set[str]]:
    """The names that a cell needs at once, those that its functions need later, and its own."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = compile(source, "cell", "exec", flags)
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    inside = {n for f in ast.walk(tree) if isinstance(f, functions) for n in ast.walk(f)}
    at_once, later, own = set[str](), set[str](), set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                (later if node in inside else at_once).add(name)
            case ast.Name(id=name):
                own.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                own.add(name)
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)) | ast.arg(arg=name):
                own.add(name)
            case ast.alias(name=name, asname=as_name):
                own.add((as_name or name).split(".")[0])
            case _:
                pass
    return at_once - own, later - own, own


def test_after_a_restart_one_can_go_on_from_each_heading(name: str) -> None:
    """The start cell, and then the section: nothing is needed that was made before."""
    cells = running.code_cells(name)
    sections = {
        rest[0][0]: rest for cell, _ in cells[1:] if (rest := running.from_section_of(name, cell))
    }
    for begins, section in sections.items():
        there, lacking = {*dir(builtins), "display", *needed(cells[0][1])[2]}, set[str]()
        for cell, source in section:
            if running.FILE.match(source):
                continue
            at_once, later, own = needed(source)
            asked = {each for each in at_once if f'"{each}" in globals()' in source}
            assert at_once - asked <= there, f"from {begins}: {cell}"
            there |= own
            lacking |= later
        assert lacking <= there, f"from {begins}"


def test_it_breaks_something_after_asking_and_repairs_it(name: str) -> None:
    if not name.startswith("0"):
        return  # an appendix, and the last page
    cells = [cell.id for cell in running.read(name).cells]
    breaks = next(at for at, cell in enumerate(cells) if cell in ("break-run", "break-kill"))
    assert any(cell.startswith("predict") for cell in cells[breaks - 2 : breaks])
    assert any("fix" in cell for cell in cells[breaks:])


def test_its_tags_are_the_known_ones_and_it_starts_and_stops(name: str) -> None:
    cells = running.read(name).cells
    tags = {cell.id: set(cell.metadata.get("tags", [])) for cell in cells}
    assert set().union(*tags.values()) <= TAGS
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if "setup" in tags[cell.id]] == [code[0].id]
    assert "await session.stop()" in code[-1].source
    for cell in code:
        assert ("lab.predict(" in cell.source) == ("predict" in tags[cell.id]), cell.id
        assert ("lab.check(" in cell.source) == ("exercise" in tags[cell.id]), cell.id


def test_every_prediction_is_compared_and_every_exercise_has_a_solution(name: str) -> None:
    sources = "\n".join(source for _, source in running.code_cells(name))
    solved = "\n".join(source for _, source in running.solutions(name))
    predicted, compared, asked, answered = (
        re.findall(rf'lab\.{call}\("([\d.]+)"', text)
        for call, text in [
            ("predict", sources),
            ("compare", sources),
            ("check", sources),
            ("check", solved),
        ]
    )
    files = running.FILE.findall(solved)
    written = re.findall(r'lab\.check\("([\d.]+)", "(\w+\.py)"\)', sources)
    answered += [number for number, name in written if name in files]
    assert predicted == compared
    assert sorted(asked) == sorted({*answered})


def test_it_does_nothing_that_a_cell_should_not(name: str) -> None:
    for cell, source in running.code_cells(name):
        if running.FILE.match(source):  # what is in it is the learner's own
            continue
        if "lab.allow_asyncio_run()" in source:  # the one lesson about it
            source = source.replace("asyncio.run(main())", "")
        for pattern, why in FORBIDDEN.items():
            assert not re.search(pattern, source, re.MULTILINE), f"{cell}: {why}"


def test_it_calls_nobody_and_every_figure_says_what_it_shows(name: str) -> None:
    for cell in running.read(name).cells:
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", cell.source), cell.id
        for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", cell.source):
            assert len(alt) > 40, cell.id
            assert target.startswith("data:image/svg+xml,"), cell.id


def test_its_words_are_the_library_s(name: str) -> None:
    text = prose(running.read(name)).lower()
    found = [word for word in OTHER_WORDS if re.search(rf"\b{word}\b", text)]
    assert found == []
