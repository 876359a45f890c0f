"""Files as learners write them in notebook 09, and what each must be told; "" for a right one.

Of a log, only the method that a step is about stands here: the others are right.
"""

from __future__ import annotations

from textwrap import indent

RIGHT = ""

APPEND = "self._items.append(item)\nreturn self.end_offset - 1"
READ = """\
items, size = [], 0
for offset, item in enumerate(self._items, self.base_offset):
    if offset < from_offset or (topics and item.topic not in topics):
        continue
    size += item.size
    if items and size > max_bytes:
        return Page(items, offset, True)
    items.append((offset, item))
return Page(items, max(from_offset, self.end_offset), False)"""
TRUNCATE = """\
if up_to_offset > self.end_offset:
    raise TruncateOutOfRangeError(up_to_offset, self.base_offset, self.end_offset)
if up_to_offset > self.base_offset:
    del self._items[:up_to_offset - self.base_offset]
    self.base_offset = up_to_offset"""
ACCEPT = """\
if not publisher_id: return True
if sequence <= self._last.get(publisher_id, 0): return False
self._last[publisher_id] = sequence
return True"""
SKIP = """\
gap = max(0, base_offset - self.position)
self.position += gap
self.missed += gap
self._untold += gap"""


def log(append: str = APPEND, read: str = READ, truncate: str = TRUNCATE) -> str:
    """`my_log.py` with these methods."""
    return f"""\
from streamlib import TruncateOutOfRangeError
from streamlib.core.log import Page

class Log:
    def __init__(self, base_offset=0):
        self.base_offset, self._items = base_offset, []

    @property
    def end_offset(self):
        return self.base_offset + len(self._items)

    def append(self, item):
{indent(append, " " * 8)}

    def read(self, from_offset, topics=(), max_bytes=1_000_000):
{indent(read, " " * 8)}

    def truncate(self, up_to_offset):
{indent(truncate, " " * 8)}
"""


def publishers(accept: str = ACCEPT) -> str:
    """`my_publishers.py` with this method."""
    return f"""\
class Publishers:
    def __init__(self):
        self._last = {{}}

    def accept(self, publisher_id, sequence, now):
{indent(accept, " " * 8)}
"""


def cursor(skip_to: str = SKIP) -> str:
    """`my_cursor.py` with this method."""
    return f"""\
class Cursor:
    def __init__(self, from_offset=0):
        self.position = from_offset
        self.missed = 0
        self._untold = 0

    def skip_to(self, base_offset):
{indent(skip_to, " " * 8)}

    def deliver(self, offset):
        self.position = max(self.position, offset + 1)
        missed, self._untold = self._untold, 0
        return missed
"""


def _read(old: str, new: str) -> str:
    assert old in READ
    return log(read=READ.replace(old, new))


PLANTED: dict[str, list[tuple[str, str]]] = {
    "9.6": [
        (log(read="...", truncate="..."), RIGHT),
        (log("offset = self.end_offset\nself._items += [item]\nreturn offset"), RIGHT),
        (log("..."), "Not answered yet: `append` is still `...`. Red, as it should be: after"),
        (log("self._items.append(item)"), "After append: the item got offset None, not 0."),
        (log("self._items.append(item)\nreturn self.end_offset"),
         "After append: the item got offset 1, not 0."),
        (log("self._items.append(item)\nreturn len(self._items) - 1"),
         "After Log(5), append: the item got offset 0, not 5."),
        (log("return self.end_offset"), "After append: the next item gets offset 0, not 1."),
        (log("self._items.insert(0, item)\nreturn self.base_offset"),
         "After append × 2: the item got offset 0, not 1."),
        (log("self._items.append(item)\nself.base_offset += 1\nreturn self.base_offset - 1"),
         "the next item gets offset 2, not 1."),
        (log("self.items.append(item)\nreturn 0"),
         "it raised AttributeError: 'Log' object has no attribute 'items'. "
         "That was at `self.items.append(item)`."),
        (log("self._items.append(item)\nreturn str(self.end_offset - 1)"), "offset '0', not 0."),
        (log("self._items.append(item\nreturn 0"), "Python cannot read my_log.py"),
        ("Log = 3\n", "defines no class `Log`"),
        ("class Log:\n    def __init__(self, base_offset=0): pass\n", "has no method `append`"),
        ("raise ValueError('no')\n", "It raised ValueError: no."),
        ("class Log:\n    def append(self, item): return 0\n", "After Log(0): it raised TypeError"),
        (log().replace("def append", "async def append"), "write a plain `def`, without `async`"),
        (log("yield 0"), "write a plain `def`, without `async`"),
        (log("global N\nN = globals().get('N', -1) + 1\nreturn N"),
         "After append: the next item gets offset 0, not 1."),
        (log().replace("base_offset=0)", "base_offset=0, items=[])").replace(
            "base_offset, []", "base_offset, items"),
         "But alone, that is right. What one `Log` did"),
    ],
    "9.7": [
        (log(truncate="..."), RIGHT),
        (log(read="""\
start = max(from_offset, self.base_offset)
found = [(o, i) for o, i in enumerate(self._items, self.base_offset)
         if o >= start and (not topics or i.topic in set(topics))]
kept, size = [], 0
for offset, item in found:
    size += item.size
    if kept and size > max_bytes:
        return Page(kept, offset, True)
    kept.append((offset, item))
return Page(kept, max(from_offset, self.end_offset), False)"""), RIGHT),
        (log(append="...", read="..."), "`append` is still `...`"),
        (log(append="return 7"), "Step 1 (`append`) comes first. After append: the item got"),
        (log(read="..."), "`read` is still `...`. Red, as it should be"),
        (_read("max(from_offset, self.end_offset)", "self.end_offset"),
         "After read(1): next_offset is 0, not 1: a reader never moves back."),
        (_read("enumerate(self._items, self.base_offset)", "enumerate(self._items)"),
         "After Log(5), append, read(0): the page holds offset 0, not offset 5."),
        (_read("offset < from_offset or ", ""), "the page holds offset 0, not nothing."),
        (_read("offset < from_offset", "offset <= from_offset"),
         "After append, read(0): the page holds nothing, not offset 0."),
        (_read(" or (topics and item.topic not in topics)", ""),
         "After append, read(0, topics=['b']): the page holds offset 0, not nothing."),
        (_read("if items and size > max_bytes", "if size > max_bytes"),
         "After append, read(0, max_bytes=0): the page holds nothing, not offset 0."),
        (_read("if items and size > max_bytes", "if items and size >= max_bytes"),
         "the page holds offset 0, not offsets 0, 1."),
        (_read("Page(items, offset, True)", "Page(items, offset, False)"),
         "more_ready is False, not True: it says whether the page was cut"),
        (_read("Page(items, offset, True)", "Page(items, offset - 1, True)"),
         "it is the offset of the item that did not fit."),
        (_read("max(from_offset, self.end_offset)", "items[-1][0] + 1 if items else from_offset"),
         "all up to the end was looked at"),
        (_read("items.append((offset, item))", "items.append(item)"), "no list of pairs"),
        (log(read="return self._items[from_offset:]"), "no Page(items, next_offset, more_ready)"),
        (_read("item.size", "item.bytes"), "it raised AttributeError"),
    ],
    "9.8": [
        (log(), RIGHT),
        (log(truncate="""\
if up_to_offset > self.end_offset:
    raise TruncateOutOfRangeError(up_to_offset, self.base_offset, self.end_offset)
while self.base_offset < up_to_offset:
    self._items.pop(0)
    self.base_offset += 1"""), RIGHT),
        (log(truncate="..."), "`truncate` is still `...`. Red, as it should be"),
        (log(read="return Page([], 0, False)"), "Step 2 (`read`) comes first."),
        (log(truncate=TRUNCATE.replace("\n    self.base_offset = up_to_offset", "")),
         "After append, truncate(1): the next item gets offset 0, not 1."),
        (log(truncate=TRUNCATE.replace("up_to_offset - self.base_offset]", "up_to_offset]")),
         "the next item gets offset"),
        (log(truncate=TRUNCATE.replace("if up_to_offset > self.base_offset:", "if True:")),
         "offset"),
        (log(truncate=TRUNCATE.replace("> self.end_offset", ">= self.end_offset")),
         "Nothing was truncated. That was at `raise TruncateOutOfRangeError("),
        (log(truncate=TRUNCATE[TRUNCATE.index("if up_to_offset > self.base"):]),
         "After truncate(1): 1 is past the end, 0, and no TruncateOutOfRangeError came."),
        (log(truncate=TRUNCATE.replace("TruncateOutOfRangeError(up_to_offset, "
         "self.base_offset, self.end_offset)", "ValueError")), "it raised ValueError"),
        (log(truncate="if up_to_offset > self.end_offset:\n    del self._items[:]\n"
             + indent("raise TruncateOutOfRangeError(up_to_offset, self.base_offset, "
                      "self.end_offset)\n", "    ")
             + TRUNCATE[TRUNCATE.index("if up_to_offset > self.base"):]),
         "After append, truncate(2): the next item gets offset 0, not 1."),
        (log(truncate="self._items.clear()\nself.base_offset = up_to_offset"), "offset"),
        (log(truncate=TRUNCATE.replace("del self._items[:up_to_offset - self.base_offset]",
                                       "del self._items[up_to_offset - self.base_offset:]")),
         "offset"),
        (log(truncate=TRUNCATE.replace("[:up_to_offset - self.base_offset]",
                                       "[:up_to_offset - self.base_offset + 1]")),
         "After append × 2, truncate(1): the next item gets offset 1, not 2."),
    ],
    "9.9": [
        (publishers(), RIGHT),
        (publishers("last = self._last.get(publisher_id, 0)\nif publisher_id:\n"
                    "    self._last[publisher_id] = max(last, sequence)\n"
                    "return sequence > last or not publisher_id"), RIGHT),
        (publishers("..."), "`accept` is still `...`. Red, as it should be"),
        (publishers("return True"), "After accept('p', 1) × 2: the last one returned True"),
        (publishers(ACCEPT.replace("<=", "<")), "After accept('p', 1) × 2: the last one returned"),
        (publishers(ACCEPT.replace("if not publisher_id: return True\n", "")),
         "After accept('', 1) × 2: the last one returned False, not True."),
        (publishers(ACCEPT.replace("<=", "==")),
         "After accept('p', 2), accept('p', 1): the last one returned True, not False."),
        (publishers("new = sequence > self._last.get(publisher_id, 0)\n"
                    "self._last[publisher_id] = sequence\nreturn new or not publisher_id"),
         "accept('p', 2), accept('p', 1), accept('p', 2): the last one returned True"),
        (publishers(ACCEPT.replace("<= self._last.get(publisher_id, 0)",
                                   "!= self._last.get(publisher_id, 0) + 1")),
         "After accept('p', 2): the last one returned False, not True."),
        (publishers(ACCEPT.replace("[publisher_id]", "['p']").replace(
            "get(publisher_id, 0)", "get('p', 0)")),
         "After accept('p', 1), accept('q', 1): the last one returned False, not True."),
        (publishers(ACCEPT.replace("self._last.get(publisher_id, 0)", "self._last[publisher_id]")),
         "it raised KeyError"),
        (publishers().replace("self._last = {}", "pass").replace(
            "class Publishers:", "class Publishers:\n    _last = {}"), "What one `Publishers` did"),
        (publishers("print(sequence)"), "the last one returned None, not True."),
        (publishers(ACCEPT.replace("return True", "return 1")), "the last one returned 1"),
    ],
    "9.10": [
        (cursor(), RIGHT),
        (cursor("if base_offset > self.position:\n"
                "    self.missed += base_offset - self.position\n"
                "    self._untold += base_offset - self.position\n"
                "    self.position = base_offset"), RIGHT),
        (cursor("..."), "`skip_to` is still `...`. Red, as it should be"),
        (cursor("self.position = base_offset"), "missed is 0, not 1."),
        (cursor("self.position = max(self.position, base_offset)"),
         "After Cursor(0), skip_to(1): missed is 0, not 1."),
        (cursor(SKIP.replace("\nself._untold += gap", "")),
         "After Cursor(0), skip_to(1), deliver(1): what `deliver` returns is 0, not 1."),
        (cursor(SKIP.replace("self._untold += gap", "self._untold = gap")),
         "what `deliver` returns is"),
        (cursor(SKIP.replace("self.missed += gap", "self.missed = gap")), "missed is"),
        (cursor("gap = base_offset - self.position\nself.position = base_offset\n"
                "self.missed += gap\nself._untold += gap"), "position is 0, not 1."),
        (cursor(SKIP.replace("max(0, base_offset - self.position)",
                             "max(0, base_offset - self.position - 1)")), "position is 0, not 1."),
        (cursor(SKIP.replace("self.position += gap\n", "")), "position is 0, not 1."),
        (cursor("self.position += base_offset"), "missed is 0, not 1."),
    ],
}  # fmt: skip
