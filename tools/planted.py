"""The mutants: each a fault, where it is planted, and the tests that must notice it.

The first eight once lived through all tests. `WORLD` ones take the mend of a fault out that was
once found by hand: the simulated world must find it by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

WORLD = "tests/world/test_world.py::test_a_thousand_worlds_keep_every_promise"


@dataclass(frozen=True)
class Mutant:
    """One planted fault: in `file`, `old` (which stands there once) becomes `new`."""

    name: str
    file: str
    old: str
    new: str
    tests: str  # folders, files or tests, parted by spaces

    def apply(self, root: Path) -> None:
        """Plant it in the checkout at `root`.

        Raises:
            ValueError: Its text does not stand in the file exactly once.
        """
        path = root / self.file
        text = path.read_text("utf-8") if path.is_file() else ""
        if (count := text.count(self.old)) != 1:
            raise ValueError(f"its text stands {count} times in {self.file}, not once")
        path.write_text(text.replace(self.old, self.new), "utf-8")


SURVIVORS = [
    Mutant(
        "the window keeps everything",
        "streamlib/core/window.py",
        "while len(self._items) > 1 and self._size > self._max_bytes:",
        "while False:",
        "tests/core/test_window.py",
    ),
    Mutant(
        "the slowest reader sets the pace of all",
        "streamlib/client/newest.py",
        "interval = max(COALESCE, min(self._cooldowns.values(), default=0.0))",
        "interval = max(COALESCE, max(self._cooldowns.values(), default=0.0))",
        "tests/client/test_feed.py tests/client/test_subscriber.py",
    ),
    Mutant(
        "a filtered reader stays behind the end of its page",
        "streamlib/client/subscriber.py",
        "pass_over(offset + 1 if self._page else max(offset + 1, self._page_end))",
        "pass_over(offset + 1)",
        "tests/client/test_subscriber.py",
    ),
    Mutant(
        "a cancelled body waits for the drain",
        "streamlib/client/client.py",
        "hurry = exc_type is not None and issubclass(exc_type, asyncio.CancelledError)",
        "hurry = False",
        "tests/client/test_client.py",
    ),
    Mutant(
        "the client's own converter is not used",
        "streamlib/client/client.py",
        "client.data_converter.payload_converter if client else PayloadConverter.default",
        "PayloadConverter.default",
        "tests/client/test_client.py",
    ),
    Mutant(
        "a poll that its run left waiting is no stream",
        "streamlib/client/transport.py",
        "if kind in (STREAM_DRAINING, _RUN_CLOSED):",
        "if kind == STREAM_DRAINING:",
        "tests/client/test_transport.py",
    ),
    Mutant(
        "updates are not counted",
        "streamlib/host/stream.py",
        "self._stream.updates += 1",
        "pass",
        "tests/server/test_limits.py::test_updates_are_counted_and_speak_for_a_roll_over",
    ),
    Mutant(
        "any process with the same number is ours",
        "streamlib/lab/machine/processes.py",
        "return bool(one) and one == other",
        "return bool(one)",
        "tests/lab/machine/test_processes.py",
    ),
]

CLASSIC = [
    Mutant(
        "dedup off",
        "streamlib/core/dedup.py",
        "elif sequence <= row.sequence:",
        "elif sequence < 0:",
        "tests/core/test_dedup.py",
    ),
    Mutant(
        "gap silent",
        "streamlib/core/cursor.py",
        "            self._unreported += gap\n",
        "",
        "tests/core/test_cursor.py",
    ),
    Mutant(
        "sequence not advanced",
        "streamlib/core/outbox.py",
        "            self._sequence += 1\n",
        "            self._sequence = 1\n",
        "tests/core/test_outbox.py",
    ),
    Mutant(
        "batch split though part of it may be stored",
        "streamlib/core/outbox.py",
        "if flight.doubt is not None or len(entries) == 1:",
        "if len(entries) == 1:",
        "tests/core/test_outbox.py",
    ),
    Mutant(
        "batch not atomic",
        "streamlib/core/hosting.py",
        "        for item in items:\n            self.log.append(item)\n",
        "        for item in items[:3]:\n            self.log.append(item)\n",
        WORLD,
    ),
    Mutant(
        "resume off by one",
        "streamlib/client/subscriber.py",
        'Cursor(0 if from_offset == "latest" else _checked(from_offset))',
        'Cursor(0 if from_offset == "latest" else from_offset and from_offset + 1)',
        WORLD,
    ),
]

MENDS = [
    Mutant(
        "fault 1: a size is topic and data, without frame and escapes",
        "streamlib/wire/encode.py",
        "return Item(sys.intern(topic), data, wire_size(topic, data))",
        "return Item(sys.intern(topic), data, len(topic.encode()) + len(data))",
        WORLD,
    ),
    Mutant(
        "fault 3: a batch that is refused for good stays in flight",
        "streamlib/client/publisher.py",
        "                self._refused(str(error))\n                return\n",
        "                raise\n",
        WORLD,
    ),
    Mutant(
        "fault 4: age is looked at only after a failed send",
        "streamlib/client/publisher.py",
        "if (old := self._outbox.expire(began)) is not None:",
        "if retry.trouble and (old := self._outbox.expire(began)) is not None:",
        WORLD,
    ),
    Mutant(
        "fault 5: who waits does not move past others' items",
        "streamlib/core/window.py",
        "        seat.cursor.pass_over(self._seen if own is None else own)\n",
        "",
        WORLD,
    ),
    Mutant(
        "fault 6: the log is called after the chain",
        "streamlib/core/hosting.py",
        "    if carried is None or run.run_id != run.original_run_id:\n        return run.run_id\n",
        "    if run:\n        return run.first_run_id\n    assert carried\n",
        WORLD,
    ),
    Mutant(
        "fault 7: a rate limit counts as a busy buffer",
        "streamlib/core/retry.py",
        "        if cause is Cause.BUSY:\n",
        "        if cause is not Cause.OUTAGE:\n",
        WORLD,
    ),
    Mutant(
        "fault 8: nobody asks the run before one that never began",
        "streamlib/client/source.py",
        "if not self.chain.never_began(run_id, before):",
        "if before or not before:",
        WORLD,
    ),
    Mutant(
        "fault 14: what could not be read is not told",
        "streamlib/client/subscriber.py",
        "if end is None or end > position:",
        "if position < 0:",
        WORLD,
    ),
]

CORE = [
    Mutant(
        "truncated items stay in the topics' index",
        "streamlib/core/log.py",
        "            offsets.drop_to(offsets.first + count)\n",
        "",
        "tests/core/test_log.py",
    ),
    Mutant(
        "a page may hold no item",
        "streamlib/core/log.py",
        "if items and size > max_bytes:",
        "if size > max_bytes:",
        "tests/core/test_log.py",
    ),
    Mutant(
        "a poll is not told that its offset was truncated",
        "streamlib/core/hosting.py",
        "        if self._is_truncated(from_offset):\n",
        "        if False:\n",
        "tests/core/test_hosting.py",
    ),
    Mutant(
        "the next cron run has the log of the one before",
        "streamlib/core/hosting.py",
        "return run.run_id if run.attempt > 1 or run.cron else run.first_run_id",
        "return run.run_id if run.attempt > 1 else run.first_run_id",
        "tests/core/test_hosting.py",
    ),
    Mutant(
        "a retry renews a batch's age",
        "streamlib/core/outbox.py",
        "            if self._in_flight.doubt is None:\n",
        "            if self._in_flight:\n",
        "tests/core/test_outbox.py",
    ),
    Mutant(
        "halves change places",
        "streamlib/core/outbox.py",
        "extendleft([entries[middle:], entries[:middle]])",
        "extendleft([entries[:middle], entries[middle:]])",
        "tests/core/test_outbox.py",
    ),
    Mutant(
        "pauses do not grow",
        "streamlib/core/retry.py",
        "        self._tries[cause] += 1\n",
        "",
        "tests/core/test_retry.py",
    ),
    Mutant(
        "a window holds topics that nobody asked for",
        "streamlib/core/window.py",
        "            since = self._seen if self._all_since is None else self._all_since\n",
        "            since = 0\n",
        "tests/core/test_window.py",
    ),
    Mutant(
        "nobody is too old to be remembered",
        "streamlib/core/dedup.py",
        "            if now - row.last_seen <= ttl\n",
        "",
        "tests/core/test_dedup.py",
    ),
    Mutant(
        "a batch has one offset more than items",
        "streamlib/core/ledger.py",
        "return batch if offset < _first_offset(batch) + batch.items else None",
        "return batch if offset <= _first_offset(batch) + batch.items else None",
        "tests/core/test_ledger.py",
    ),
]

HOST = [
    Mutant(
        "a handed-over log begins at 0",
        "streamlib/host/carry.py",
        "    log = parts.make_log(state.base_offset)\n",
        "    log = parts.make_log()\n",
        "tests/host/test_carry.py",
    ),
    Mutant(
        "limits are not carried",
        "streamlib/host/carry.py",
        "limits=None if limits is LEGACY else asdict(limits),",
        "limits=None,",
        "tests/host/test_carry.py",
    ),
    Mutant(
        "a state that is too large is not packed",
        "streamlib/host/carry.py",
        "args := build(True)",
        "args := build(False)",
        "tests/host/test_carry.py",
    ),
    Mutant(
        "the table of publishers is not carried",
        "streamlib/host/carry.py",
        "parts.make_publishers({name: _row(row) for name, row in rows})\n",
        "parts.make_publishers({})\n",
        WORLD,
    ),
    Mutant(
        "a refused hand-over leaves the polls shut",
        "streamlib/host/stream.py",
        "            self._stream.detaching = False\n",
        "            pass\n",
        "tests/faults/test_roll_over.py::"
        "test_what_does_not_fit_is_refused_before_anything_is_lost_and_polls_open_again",
    ),
]

CLIENT = [
    Mutant(
        "what was there at first is no progress",
        "streamlib/client/follow.py",
        "if self.caught_up and (not before or any(map(_is_work, events))):",
        "if self.caught_up and any(map(_is_work, events)):",
        "tests/client/test_follow.py",
    ),
    Mutant(
        "a retry is taken for a roll-over",
        "streamlib/client/follow.py",
        "            return None if by_the_server else began.continued_execution_run_id or None\n",
        "            return began.continued_execution_run_id or None\n",
        "tests/client/test_follow.py tests/client/test_transport.py",
    ),
    Mutant(
        "an event that is shown again counts again",
        "streamlib/client/tally.py",
        "if event.event_id > self._counted and event.event_type not in _PROVISIONAL:",
        "if event.event_type not in _PROVISIONAL:",
        "tests/client/test_tally.py",
    ),
    Mutant(
        "a cancelled send leaves no doubt",
        "streamlib/client/publisher.py",
        '                self._outbox.doubt("cancelled before there was an answer")\n',
        "",
        "tests/client/test_publisher.py",
    ),
    Mutant(
        "a feed that is over is shared",
        "streamlib/client/registry.py",
        "if feed is not None and not feed.over:",
        "if feed is not None:",
        "tests/client/test_feed.py tests/client/test_subscriber.py",
    ),
    Mutant(
        "only Python's words say that a handler is missing",
        "streamlib/client/transport.py",
        'return "handler" in text or "unknown query" in text',
        'return "expected but not found" in text',
        "tests/client/test_edge.py",
    ),
    Mutant(
        "a status's details say nothing",
        "streamlib/client/status.py",
        "        if detail.Unpack(failure) and failure.cause:\n",
        "        if detail.Unpack(failure) and not failure.cause:\n",
        "tests/client/test_transport.py",
    ),
    Mutant(
        "every run that was terminated was reset",
        "streamlib/client/feed.py",
        "if newest.first_run_id == run.first_run_id and newest.run_id != self.run_id:",
        "if newest.first_run_id == run.first_run_id:",
        "tests/client/test_feed.py tests/client/test_subscriber.py",
    ),
    Mutant(
        "a slow call stays alone",
        "streamlib/client/patience.py",
        "calls = [calls[0], self._begin(call())]",
        "calls = [calls[0]]",
        "tests/client/test_patience.py",
    ),
    Mutant(
        "a try that hung waits its pause, too",
        "streamlib/client/patience.py",
        "                    pause -= now - began\n",
        "                    pass\n",
        "tests/client/test_patience.py",
    ),
    Mutant(
        "one quick failure is an outage",
        "streamlib/core/retry.py",
        "or self._tries[cause] or now - began >= _QUICK:",
        "or cause is Cause.OUTAGE:",
        "tests/core/test_retry.py",
    ),
]

PARTS = [
    Mutant(
        "an own log's description has more than was asked for",
        "streamlib/core/parts.py",
        "self._part.read(from_offset, (), _ALL).items[:count]",
        "self._part.read(from_offset, (), _ALL).items",
        "tests/core/test_parts.py",
    ),
    Mutant(
        "an own table is not told whom the state knows",
        "streamlib/core/parts.py",
        "            part.accept(publisher_id, row.sequence, row.last_seen)\n",
        "            del publisher_id, row\n",
        "tests/core/test_parts.py",
    ),
    Mutant(
        "an own table never forgets",
        "streamlib/core/parts.py",
        "        self._part = self._begun()\n\n    def _begun",
        "        self._begun()\n\n    def _begun",
        "tests/core/test_parts.py",
    ),
    Mutant(
        "a duplicate keeps its publisher alive in an own table",
        "streamlib/core/parts.py",
        "            if new:\n",
        "            if True:\n",
        "tests/core/test_parts.py",
    ),
    Mutant(
        "a stream that is handed over forgets what it is made of",
        "streamlib/host/carry.py",
        "    log = parts.make_log(state.base_offset)\n",
        "    log = Log(state.base_offset)\n",
        "tests/host/test_carry.py",
    ),
]

FLOW = [
    Mutant(
        "retention keeps one item more",
        "streamlib/core/retention.py",
        "bounds.append(log.end_offset - keep.max_items)",
        "bounds.append(log.end_offset - keep.max_items - 1)",
        WORLD,
    ),
    Mutant(
        "retention lets go what a named reader has still to read",
        "streamlib/core/readers.py",
        "return min((row.position for row in self._rows.values()), default=None)",
        "return max((row.position for row in self._rows.values()), default=None)",
        "tests/core/test_readers.py",
    ),
    Mutant(
        "what is retained at the roll-over counts from the new run on",
        "streamlib/host/carry.py",
        "times=times_json(keeper.times) if keeper else None",
        "times=None",
        "tests/host/test_carry.py",
    ),
    Mutant(
        "what retain said is lost where the constructor says another",
        "streamlib/host/begin.py",
        "if retention is None or (retained and workflow.patched(RETAINED_PATCH)):",
        "if retention is None:",
        "tests/host/test_begin.py",
    ),
    Mutant(
        "a run that closes while it hands over begins anew",
        "streamlib/host/stream.py",
        "settled = not until()",
        "settled = True",
        "tests/server/test_flow.py",
    ),
    Mutant(
        "a run that began without retention gets it on replay",
        "streamlib/host/begin.py",
        "return wanted if wanted and workflow.patched(RETENTION_PATCH) else Retention()",
        "return wanted or Retention()",
        "tests/server/test_replay.py",
    ),
    Mutant(
        "fields that are not used make a state larger",
        "streamlib/host/carry.py",
        "newer = {name: None for name in unused if getattr(state, name) is None}",
        "newer = dict[str, Any]()",
        "tests/host/test_carry.py",
    ),
    Mutant(
        "an older reader's commit moves the position",
        "streamlib/core/readers.py",
        "if row is None or row.token != token or position > end:",
        "if row is None or position > end:",
        WORLD,
    ),
    Mutant(
        "a commit beyond the end is taken",
        "streamlib/core/readers.py",
        "if row is None or row.token != token or position > end:",
        "if row is None or row.token != token:",
        "tests/core/test_readers.py",
    ),
    Mutant(
        "the item in hand counts as handled",
        "streamlib/client/subscriber.py",
        "self._named.rests(offset)",
        "self._named.rests(offset + 1)",
        WORLD,
    ),
    Mutant(
        "a commit for every item",
        "streamlib/client/named.py",
        "if began >= self._last_commit + COMMIT_EVERY:",
        "if True:",
        "tests/client/test_named.py",
    ),
    Mutant(
        "the reader that lost its name is not told",
        "streamlib/client/named.py",
        "raise NameLostError(workflow_id, self.name, reason)",
        "return",
        "tests/client/test_named.py",
    ),
    Mutant(
        "a commit goes to whatever log has taken the place of its own",
        "streamlib/core/hosting.py",
        "if told.stream_id not in (None, stream_id):",
        "if False:",
        "tests/client/test_named.py " + WORLD,
    ),
    Mutant(
        "a receipt tells its batch's first offset",
        "streamlib/client/receipt.py",
        'return Outcome("stored", batch.first_offset + place)',
        'return Outcome("stored", batch.first_offset)',
        WORLD,
    ),
    Mutant(
        "each receipt asks for itself",
        "streamlib/client/receipt.py",
        "if (asking := self._answers) is None:",
        "if (asking := None) is None:",
        "tests/client/test_receipt.py",
    ),
    Mutant(
        "what a receipt told is told again to who flushes",
        "streamlib/client/publisher.py",
        "others = [] if told else [self._given_up]",
        "others = [self._given_up]",
        "tests/client/test_receipt.py",
    ),
    Mutant(
        "the buffer has no bound",
        "streamlib/core/outbox.py",
        "return self._max_buffer is None or self._bytes + size <= self._max_buffer",
        "return True",
        "tests/client/test_receipt.py",
    ),
    Mutant(
        "to truncate moves all that stays",
        "streamlib/core/chunks.py",
        "CHUNK = 256",
        "CHUNK = 10**9",
        "tests/core/test_chunks.py",
    ),
]

# Ten more that lived through the fast tests, once.
LATELY = [
    Mutant(
        "what comes while the window is read is read no more",
        "streamlib/client/newest.py",
        """                self._due = False
                async with self._reading_on:
                    await self._read_to_end()
""",
        """                async with self._reading_on:
                    await self._read_to_end()
                self._due = False
""",
        "tests/client/test_feed.py",
    ),
    Mutant(
        "what is final is not raised while another call hangs",
        "streamlib/client/patience.py",
        "if not calls or not isinstance(each.exception(), StreamUnavailableError):",
        "if not calls or each.exception() is None:",
        "tests/client/test_patience.py",
    ),
    Mutant(
        "a flush sends what came after it",
        "streamlib/client/publisher.py",
        "                    if self._awaits(flush):\n",
        "                    if True:\n",
        "tests/client/test_publisher.py",
    ),
    Mutant(
        "who waits for one item of a lost batch hides the others",
        "streamlib/client/receipt.py",
        "return told == count",
        "return told > 0",
        "tests/client/test_receipt.py",
    ),
    Mutant(
        "a query asks for any number of batches",
        "streamlib/client/receipt.py",
        "asked = [*self._wanted][:MOST]",
        "asked = [*self._wanted]",
        "tests/client/test_receipt.py",
    ),
    Mutant(
        "topics of wide letters are twice as long",
        "streamlib/wire/encode.py",
        "if len(item.topic) * 12 > room and",
        "if len(item.topic) * 6 > room and",
        "tests/wire",
    ),
    Mutant(
        "a commit takes back what was handled",
        "streamlib/client/named.py",
        "self._handled = max(self._handled, self._that_can_be(position))",
        "self._handled = self._that_can_be(position)",
        "tests/client/test_named.py",
    ),
    Mutant(
        "a name is lost to somebody in another log",
        "streamlib/client/named.py",
        "if about.stream_id == self._stream_id and (row is None or row.token != self._token):",
        "if row is None or row.token != self._token:",
        "tests/client/test_named.py",
    ),
    Mutant(
        "work that was done is said to wait",
        "streamlib/client/patience.py",
        "        if self._timer is None:\n",
        "        if True:\n",
        "tests/client/test_patience.py",
    ),
    Mutant(
        "a query that hangs takes all the time there is",
        "streamlib/client/patience.py",
        "min(2.0, deadline - began)",
        "deadline - began",
        "tests/client/test_receipt.py",
    ),
    Mutant(
        "a log that cannot fit is packed to its end",
        "streamlib/wire/compress.py",
        "if limit is not None and len(body) * 4 // 3 > limit:",
        "if False:",
        "tests/wire/test_compress.py",
    ),
    Mutant(
        "a name is joined in whatever log answers",
        "streamlib/client/named.py",
        "if about.stream_id != (read := await feed.source.identify()):",
        "if about.stream_id != (read := await feed.source.identify()) and False:",
        "tests/client/test_named.py",
    ),
    Mutant(
        "an answer is handed over after the close",
        "streamlib/client/newest.py",
        "return None if gone.done() else task.result()",
        "return task.result() if task.done() else None",
        "tests/client/test_subscriber.py",
    ),
    Mutant(
        "a cancelled read leaves its pause behind",
        "streamlib/client/newest.py",
        "        finally:\n            task.cancel()\n        return None",
        "        finally:\n            pass\n        return None",
        "tests/client/test_subscriber.py",
    ),
]

MUTANTS = [*SURVIVORS, *CLASSIC, *MENDS, *CORE, *HOST, *CLIENT, *PARTS, *FLOW, *LATELY]
