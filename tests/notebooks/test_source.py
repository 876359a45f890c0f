"""The notebooks in the repository are what their one source says."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.notebooks import running
from tools import course

SOURCE = '''\
<!-- header -->
# A title

![Alt](figures/a-stream.svg)

<!-- predict-1 predict -->
```python
lab.predict("9.1", answer=...)
```

<!-- predict-1 solution -->
```python
lab.predict("9.1", answer=2)
```

<!-- exercise-2 exercise -->
```python
"""9.2  Order the lines.

A  one
"""
await lab.check("9.2", ...)
```

<!-- exercise-2 solution -->
```python
await lab.check("9.2", "A")
```

<!-- my-file -->
```python
%%writefile my_file.py
def answer(): ...
```

<!-- my-file solution -->
```python
%%writefile my_file.py
def answer(): return 42
```

<!-- exercise-3 exercise -->
```python
await lab.check("9.3", "my_file.py")
```

<!-- stop -->
The end.
'''


def test_every_notebook_is_what_its_source_says() -> None:
    stale = [str(path.relative_to(course.ROOT)) for path in course.stale()]
    assert stale == [], f"{running.RAN}; if you changed course/*.md: `make course`"
    assert {path.stem for path in course.SOURCES.glob("*.md")} == set(running.names())


def test_the_command_names_what_is_not() -> None:
    tool = [sys.executable, str(course.ROOT / "tools" / "course.py"), "--check"]
    assert subprocess.run(tool, capture_output=True, text=True).stdout == ""


def test_learners_get_stubs_and_one_cell_of_folded_solutions() -> None:
    ids = [cell.id for cell in course.for_learners(course.cells(SOURCE))]
    files = ["my-file", "exercise-3"]
    assert ids == ["header", "predict-1", "exercise-2", *files, "solutions", "stop"]
    text = course.notebook(course.for_learners(course.cells(SOURCE)))
    assert "<summary>Solution of 9.2</summary>" in text
    assert "<summary>Solution of my_file.py</summary>" in text
    assert text.count("return 42") == 1
    assert "answer=2" not in text  # what one could only guess is not given away
    assert re.search(r"data:image/svg\+xml,%3Csvg[^ )]*%3C/svg%3E\)", text)


def test_teachers_get_every_cell_answered_with_what_it_asks() -> None:
    cells = {cell.id: cell.text for cell in course.for_teachers(course.cells(SOURCE))}
    assert list(cells) == [
        "header",
        "predict-1",
        "exercise-2",
        "my-file",
        "exercise-3",
        "stop",
    ]
    assert cells["my-file"] == "%%writefile my_file.py\ndef answer(): return 42"
    assert cells["predict-1"] == 'lab.predict("9.1", answer=2)'
    assert cells["exercise-2"].endswith('A  one\n"""\nawait lab.check("9.2", "A")')
