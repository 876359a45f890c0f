"""Answers as learners give them, and what each must be told; "" for one that is right.

Each is the body of the notebook's own function (its signature is taken from there), or the letters
of lines in an order. Of what is said a part stands here, one that no other answer is told.
"""

from __future__ import annotations

RIGHT = ""

CLOSED = "is closed: leaving `async with` closes it"
PRINTED = "`print` shows"
AWAIT = "`await` is missing before"
LATE = "did not come to an end"
OF_THE_NOTEBOOK = "of this notebook. A check gives"

PLANTED: dict[str, list[tuple[str, str]]] = {
    "1.4": [
        ("return item.offset + 1", RIGHT),
        ("import time; time.sleep(3); return item.offset + 1", RIGHT),
        ("return item.offset", "a second time"),
        ("return item.offset + 2", "was skipped"),
        ("return 0", "goes back"),
        ("return 2", "Right on one stream; but on another"),
        ("return item.offset * 2", "Right on one stream; but on another"),
        ("return item", "an offset, a whole number"),
        ("return str(item.offset + 1)", "an offset, a whole number"),
        ("return item.position", "AttributeError"),
        ("return -1", "from 0 on"),
        ("return True", "an offset, a whole number"),
        ("print(item.offset + 1)", PRINTED),
        ("item.offset + 1", "It returned nothing"),
        ("return stream.subscribe(from_offset=item.offset + 1)", OF_THE_NOTEBOOK),
        ("while True: pass", LATE),
        ("yield item.offset + 1", "which makes it a generator"),
        ("exit()", "SystemExit"),
        ("import os; os._exit(0)", "ended its whole process"),
        ("return sum(range(10**12))", LATE),
        ("try: return item.offset\nfinally: return item.offset + 1", RIGHT),
        ("class Offset(int): pass\nreturn Offset(item.offset + 1)", RIGHT),
        ("größe = item.offset + 1; return größe", RIGHT),
        ("return (item.offset + 1,)", "an offset, a whole number"),
        ("return 10**30", "was skipped"),
        ("exec('return 1')", "SyntaxError: 'return' outside function"),
        ("return next_start(item)", "RecursionError"),
        ("display(item.offset + 1)", PRINTED),
        ("print('x' * 10**8)", PRINTED),
        ("return next(iter([]))", "`next` found nothing"),
        ("raise BaseException('mine')", "It raised BaseException: mine."),
        ("raise GeneratorExit", "It raised GeneratorExit."),
        ("raise ValueError('\\x1b[2J \\ud800')", r"ValueError: \x1b[2J \ud800."),
        ("class E(Exception):\n    def __str__(self): raise RuntimeError('no')\nraise E",
         "It raised E."),
        ("class R:\n    def __repr__(self):\n        while True: pass\nreturn R()", LATE),
        ("return asyncio.sleep(0, item.offset + 1)", AWAIT),
        ("import os; os.killpg(0, 9)", "ended its whole process"),
        ("import os; os.fork(); return item.offset + 1", RIGHT),
    ],
    "1.5": [
        ('items = stream.subscribe("progress"); await anext(items); return items', RIGHT),
        ('return stream.subscribe("progress", (await anext(stream.subscribe("progress"))).offset'
         " + 1)", RIGHT),
        ('await asyncio.sleep(3); items = stream.subscribe("progress"); await anext(items)\n'
         "return items", RIGHT),
        ('return stream.subscribe("progress", from_offset=2)', "but on another: The log held"),
        ('return stream.subscribe("progress", from_offset=1)', "no offsets of their own"),
        ('return stream.subscribe("progress")', "Read that one, then hand over"),
        ("return stream.subscribe(from_offset=3)", "Name the one topic"),
        ('return stream.subscribe(["status", "progress"], from_offset=3)', "Name the one topic"),
        ('return stream.subscribe("progress", from_offset="latest")', "the end: what is there"),
        ('return stream.subscribe("Progress")', "that the topic's name?"),
        ('async with stream.subscribe("progress") as items:\n    await anext(items)\n'
         "    return items", CLOSED),
        ('items = stream.subscribe("progress"); await anext(items); print(items)', PRINTED),
        ('items = stream.subscribe("progress"); anext(items); return items', AWAIT),
        ('items = stream.subscribe("progress"); await anext(items); return await anext(items)',
         "what `subscribe` returns"),
        ('return [i async for i in stream.subscribe("progress")][1]', LATE),
        ('return "progress"', "what `subscribe` returns"),
        ('return events', OF_THE_NOTEBOOK),
        ('items = stream.subscribe("progress"); await anext(items); await anext(items)\n'
         "return items", "the second `progress` item has offset"),
    ],
    "1.6": [
        ("DCABE", RIGHT), ("D, A, B, C, E", RIGHT), ("dcabe", RIGHT),
        ("ABDCE", "Ask before you publish"), ("DCEAB", "A and B never ran"),
        ("CDABE", "C uses `start` before D"), ("DECAB", "E uses `items` before C"),
        ("DCBAE", "right after it"), ("DACBE", "right after it"), ("ABC", "each of"),
        ("DCABEE", "each of"), ("", "each of"),
    ],
    "1.7": [
        ('for w in words: stream.topic("news").publish(w)\nawait stream.flush()', RIGHT),
        ('async with stream:\n    for w in words: stream.topic("news").publish(w)', RIGHT),
        ('for w in words:\n    await asyncio.sleep(0.8)\n    stream.topic("news").publish(w)\n'
         "    await stream.flush()", RIGHT),
        ('for w in words: stream.topic("news").publish(w)', "only buffers"),
        ('for w in words: stream.topic("news").publish(w, force_flush=True)', "only begins to send"),
        ('for w in words: stream.topic("news").publish(w)\nstream.flush()', AWAIT),
        ('for w in words: stream.topic("news").publish(w)\nasyncio.create_task(stream.flush())',
         "nobody waited for it"),
        ('for w in ["one", "two", "three"]: stream.topic("news").publish(w)\nawait stream.flush()',
         "but on another: For"),
        ('for w in reversed(words): stream.topic("news").publish(w)\nawait stream.flush()',
         "one item for each word"),
        ('stream.topic("news").publish(words)\nawait stream.flush()', "one item for each word"),
        ('for w in words: stream.topic("new").publish(w)\nawait stream.flush()', "just 'news'"),
        ("print(*words)", "tells only you"),
        ('hub = await lab.host(session)\n'
         "mine = WorkflowStreamClient.create(session.client, hub.id)\n"
         'for w in words: mine.topic("news").publish(w)\nawait mine.flush()', OF_THE_NOTEBOOK),
        ('for w in words: status.publish(w)', OF_THE_NOTEBOOK),
        ('mine = WorkflowStreamClient.create(await lab_connect(), "no-such-hub")\n'
         'for w in words: mine.topic("news").publish(w)', "never uses the `stream`"),
        ('for w in words: await stream.topic("news").publish(w)', "TypeError"),
        ("await asyncio.sleep(60)", LATE),
        ("while True: await asyncio.sleep(0)", LATE),
        ('while True:\n    try: await asyncio.sleep(60)\n    except: pass', LATE),
        ('for w in words:\n    async with stream: stream.topic("news").publish(w)', RIGHT),
    ],
    "2.5": [
        ('return stream.subscribe(from_offset=note["offset"], stream_id=note["stream_id"])', RIGHT),
        ('return await stream.subscribe(from_offset=note["offset"], stream_id=note["stream_id"])'
         ".start()", RIGHT),
        ('await asyncio.sleep(3)\nreturn stream.subscribe(None, **{"from_offset": note["offset"],'
         ' "stream_id": note["stream_id"]})', RIGHT),
        ('items = stream.subscribe(from_offset=note["offset"])\nawait items.start()\n'
         'if items.stream_id != note["stream_id"]:\n'
         '    raise StreamChangedError("w", note["stream_id"], items.stream_id)\nreturn items',
         RIGHT),
        ('items = stream.subscribe(from_offset=note["offset"])\nawait items.start()\n'
         'if items.stream_id != note["stream_id"]: raise ValueError("another stream")\nreturn items',
         RIGHT),
        ('return stream.subscribe(from_offset=note["offset"])', "Which argument guards"),
        ('return stream.subscribe(from_offset=note["offset"] + 1, stream_id=note["stream_id"])',
         "holds the *next* offset"),
        ('return stream.subscribe(stream_id=note["stream_id"])', "use the note"),
        ('return stream.subscribe(from_offset=note["offset"] - 1, stream_id=note["stream_id"])',
         "use the note"),
        ('return stream.subscribe(from_offset="latest", stream_id=note["stream_id"])',
         "Nothing came"),
        ('return stream.subscribe(from_offset=2, stream_id=note["stream_id"])',
         "but on another: It began with offset 2"),
        ('return note["offset"]', "what `subscribe` returns"),
        ('return stream.subscribe(from_offset=note["offset"], stream_id=stream.workflow_id)',
         "another thing: many streams"),
        ('items = stream.subscribe(from_offset=note["offset"])\nawait items.start()\n'
         'if items.stream_id == note["stream_id"]: return items', "returned None"),
        ('items = stream.subscribe(from_offset=note["offset"])\nawait items.start()\n'
         'return items if items.stream_id == note["stream_id"] else stream.subscribe()',
         "given a note of another stream it read offset 0"),
        ('async with stream.subscribe(from_offset=note["offset"], stream_id=note["stream_id"]) as i:'
         "\n    return i", CLOSED),
        ('print(stream.subscribe(from_offset=note["offset"], stream_id=note["stream_id"]))',
         PRINTED),
        ('return stream.subscribe(from_offset=note, stream_id=note["stream_id"])',
         "InvalidOffsetError"),
        ('return back', OF_THE_NOTEBOOK),
    ],
    "2.6": [
        ("EBCDA", RIGHT), ("e b c d a", RIGHT),
        ("EBCAD", "saved as done"), ("BECDA", "B uses `start` before E"),
        ("ECDAB", "C uses `items` before B"), ("EBDCA", "the body of C"),
        ("EBACD", "the body of C"), ("CDAEB", "C uses `items` before B"), ("ABC", "each of"),
        ("EBCDAD", "each of"), ("EBC", "each of"), ("ADCBE", "the body of C"),
    ],
    "2.7": [
        ('async for i in stream.subscribe(from_offset=note.get("offset", 0)):\n'
         '    handle(i)\n    note["offset"] = i.offset + 1', RIGHT),
        ('async for i in stream.subscribe(from_offset=note.setdefault("next", 0)):\n'
         '    handle(i)\n    note.update(next=i.offset + 1)', RIGHT),
        ('await asyncio.sleep(1.5)\n'
         'async for i in stream.subscribe(from_offset=note.get("o", 0)):\n'
         '    handle(i); note["o"] = i.offset + 1', RIGHT),
        ('async for i in stream.subscribe(from_offset=note.get("offset", 0)):\n'
         '    handle(i)\n    note["offset"] = i.offset', "came twice"),
        ('async for i in stream.subscribe(from_offset=note.get("offset", 0)):\n'
         '    note["offset"] = i.offset + 1\n    handle(i)', "saved before it was handled"),
        ('async for i in stream.subscribe(from_offset=note.get("offset", 0)):\n'
         '    handle(i)\n    if i.offset % 2: note["offset"] = i.offset + 1',
         "but on another: It crashed while it handled offset 3"),
        ("async for i in stream.subscribe(): handle(i)", "does not remember its readers"),
        ('async for i in stream.subscribe():\n    handle(i)\n    note["offset"] = i.offset + 1',
         "does not remember its readers"),
        ('async for i in stream.subscribe(from_offset=note.get("offset", 0)):\n'
         '    handle(i)\n    note = {"offset": i.offset + 1}', "a dict of its own"),
        ('async for i in stream.subscribe(from_offset=note.get("offset", 0)):\n'
         '    try: handle(i)\n    finally: note["offset"] = i.offset + 1', "runs also when"),
        ('async for i in stream.subscribe(from_offset=note.get("offset", 0)):\n'
         '    try: handle(i)\n    except Exception: handle(i)\n    note["offset"] = i.offset + 1',
         "be ready to be called anew"),
        ('async for i in stream.subscribe():\n    try: handle(i)\n'
         '    except Exception: note["offset"] = i.offset', "as if it had not"),
        ("async for i in stream.subscribe():\n    handle(i)\n    if i.offset == 1: return",
         "0 to 4 were there"),
        ('items = stream.subscribe(from_offset=note.get("offset", 0))\nwhile True:\n'
         '    i = await anext(items)\n    handle(i)\n    note["offset"] = i.offset + 1',
         "`async for` just ends"),
        ('while True:\n    async for i in stream.subscribe(from_offset=note.get("offset", 0)):\n'
         '        handle(i)\n        note["offset"] = i.offset + 1', "begins again, for ever"),
        ('while True:\n    try:\n'
         '        async for i in stream.subscribe(from_offset=note.get("offset", 0)):\n'
         '            handle(i)\n            note["offset"] = i.offset + 1\n    except: pass',
         "begins again, for ever"),
        ("async for i in stream.subscribe(): print(i.data)", "called `handle` for no item"),
        ("for i in stream.subscribe(): handle(i)", "TypeError"),
        ('async for i in stream.subscribe(from_offset=note["offset"]): handle(i)', "KeyError"),
        ('async for i in stream.subscribe(from_offset=note.get("offset", 0)):\n    await handle(i)',
         "TypeError"),
        ('json.dump(note, saved.open("w")); handle(items)', OF_THE_NOTEBOOK),
    ],
    "3.4": [
        ("CEBDA", RIGHT), ("EBDCA", RIGHT), ("ECBDA", RIGHT), ("EBCDA", RIGHT),
        ("CEBAD", "A came first"), ("CAEBD", "A came first"), ("ECABD", "A came first"),
        ("CEDBA", "B had not published yet"), ("EDCBA", "B had not published yet"),
        ("BECDA", "B uses `stream` before E"), ("EBDAC", "A uses `hub` before C"),
        ("CDEBA", "D uses `stream` before E"), ("CE", "each of"), ("CEBDAA", "each of"),
    ],
    "3.5": [
        ('async with WorkflowStreamClient.create(client, hub_id) as stream:\n'
         '    for line in [*lines, "END"]: stream.topic("report").publish(line)\n'
         "await client.get_workflow_handle(hub_id).signal(HubWorkflow.close)", RIGHT),
        ('stream = WorkflowStreamClient.create(client, hub_id)\n'
         'for line in [*lines, "END"]:\n    stream.topic("report").publish(line)\n'
         "await stream.flush()\nawait asyncio.sleep(3)\n"
         'await client.get_workflow_handle(hub_id).signal("close")', RIGHT),
        *[
            (
                "hub = client.get_workflow_handle_for(HubWorkflow.run, hub_id)\n"
                "stream = WorkflowStreamClient.create(client, hub_id)\n" + body,
                hint,
            )
            for body, hint in [
                ('for x in [*lines, "END"]: stream.topic("report").publish(x)\n'
                 "await hub.signal(HubWorkflow.close)\nawait hub.result()\nawait stream.flush()",
                 "The hub was closed when only 0"),
                ('for x in [*lines, "END"]: stream.topic("report").publish(x)\nawait stream.flush()',
                 "still open: it runs on"),
                ('for x in lines: stream.topic("report").publish(x)\nawait stream.flush()\n'
                 "await hub.signal(HubWorkflow.close)", "broke off"),
                ('for x in ["END", *lines]: stream.topic("report").publish(x)\n'
                 "await stream.flush()\nawait hub.signal(HubWorkflow.close)", "'END' last"),
                ('for x in [*lines, "END"]: stream.topic("report").publish(x)\n'
                 "await hub.signal(HubWorkflow.close)", "only buffers"),
                ('for x in [*lines, "END"]: stream.topic("news").publish(x)\nawait stream.flush()\n'
                 "await hub.signal(HubWorkflow.close)", "just 'report'"),
                ('for x in [*lines, "END"]: stream.topic("report").publish(x)\nawait stream.flush()\n'
                 "await hub.terminate()", "The hub was terminated"),
                ('for x in [*lines, "END"]: stream.topic("report").publish(x)\nawait stream.flush()\n'
                 "await hub.cancel()", "The hub was cancelled"),
                ('for x in [*lines, "END"]: stream.topic("report").publish(x)\nawait stream.flush()\n'
                 "hub.signal(HubWorkflow.close)", AWAIT),
                ('for x in [*lines, "END"]: stream.topic("report").publish(x)\nstream.flush()\n'
                 "await hub.signal(HubWorkflow.close)", AWAIT),
                ('for x in lines: print(x)\nprint("END")', "tells only you"),
                ('for x in ["line one", "line two", "line three", "END"]:\n'
                 '    stream.topic("report").publish(x)\nawait stream.flush()\n'
                 "await hub.signal(HubWorkflow.close)", "but on another: The items were"),
                ('for x in [*lines, "END"]: stream.topic("report").publish(x)',
                 "Nothing is stored, and the hub is still open"),
            ]
        ],
        ('async with stream:\n    for x in [*lines, "END"]: stream.topic("report").publish(x)\n'
         "await hub.signal(HubWorkflow.close)", OF_THE_NOTEBOOK),
        ('async with WorkflowStreamClient.create(client, "a-closed-hub") as s:\n'
         '    for x in [*lines, "END"]: s.topic("report").publish(x)\n'
         "await client.get_workflow_handle(hub_id).signal(HubWorkflow.close)",
         "closed or not there"),
        ('await asyncio.sleep(0)', "never uses `hub_id`"),
    ],
    "3.6": [
        ('lines = []\nasync for i in stream.subscribe("report"):\n'
         '    if i.data == "END": return lines, True\n    lines.append(i.data)\n'
         "return lines, False", RIGHT),
        ('lines = [i.data async for i in stream.subscribe("report")]\n'
         'return [[x for x in lines if x != "END"], "END" in lines]', RIGHT),
        ('await asyncio.sleep(2)\nlines = [i.data async for i in stream.subscribe("report")]\n'
         'return [x for x in lines if x != "END"], lines[-1:] == ["END"]', RIGHT),
        ('lines = [i.data async for i in stream.subscribe("report")]\n'
         'return lines, "END" in lines', "among the lines"),
        ('items = stream.subscribe("report")\n'
         'lines = [i.data async for i in items if i.data != "END"]\n'
         'return lines, items.status.name == "COMPLETED"', "A hub was closed after"),
        ('items = stream.subscribe("report")\n'
         'lines = [i.data async for i in items if i.data != "END"]\n'
         'return lines, items.status.name != "TERMINATED"', "A hub was closed after"),
        ('items = stream.subscribe("report"); lines = []\n'
         'while (i := await anext(items)).data != "END": lines.append(i.data)\n'
         "return lines, True", "`async for` just ends"),
        ('return [i.data async for i in stream.subscribe("report") if i.data != "END"], False',
         "second value is False, not True"),
        ('return [i.data async for i in stream.subscribe("report") if i.data != "END"]',
         "not a list of lines and"),
        ('lines = []\nasync for i in stream.subscribe("report"):\n'
         '    if i.data == "END": return lines, True\n    lines.append(i.data)\n'
         'raise RuntimeError("incomplete")', "It raised RuntimeError: incomplete"),
        ('lines = []\nasync for i in stream.subscribe("report"):\n'
         '    if i.data == "END": return lines, True\n    lines.append(i.data)',
         "It returned nothing"),
        ('lines = []\nitems = stream.subscribe("report")\nwhile True:\n'
         '    try: i = await anext(items)\n    except: continue\n'
         '    if i.data == "END": return lines, True\n    lines.append(i.data)',
         "catches every error"),
        ('lines = []\nasync for i in stream.subscribe("report"):\n'
         '    if i.data == "END": print(lines, True)\n    lines.append(i.data)', PRINTED),
        ('return ["line one", "line two", "line three"], True', "A hub was closed after"),
        ('lines = []\nasync for i in stream.subscribe("report"):\n'
         '    if i.data == "END": return lines, "yes"\n    lines.append(i.data)\n'
         "return lines, False", "not True"),
        ('return [i async for i in stream.subscribe("report") if i.data != "END"], True',
         "the report had"),
    ],
    "4.5": [
        ("return log.end_offset - 3", RIGHT),
        ("return max(log.base_offset, log.end_offset - 3)", RIGHT),
        ("if log.end_offset - log.base_offset > 3: return log.end_offset - 3", RIGHT),
        ("import time; time.sleep(3); return log.end_offset - 3", RIGHT),
        ("return 3", "What lies *below*"),
        ("return 7", "what is left of it"),
        ("return log.end_offset - log.base_offset - 3", "what is left of it"),
        ("return max(0, log.end_offset - 3) or log.end_offset", "short enough"),
        ("return log.end_offset + 1", "past the end"),
        ("return log.end_offset - 4", "it left 4, not 3"),
        ("return log.end_offset", "it left 0, not 3"),
        ("return [3]", "the offset to truncate up to"),
        ("return (log.end_offset - 3) / 1", "the offset to truncate up to"),
        ("print(log.end_offset - 3)", PRINTED),
        ("log.end_offset - 3", "It returned nothing"),
        ("return log.end - 3", "AttributeError"),
        ("while log.end_offset: pass", LATE),
    ],
    "4.6": [
        ("DBAEC", RIGHT), ("DABEC", RIGHT), ("DAEBC", RIGHT), ("ADBEC", RIGHT),
        ("AEDBC", "cut it off"), ("DBCAE", "in an empty log"), ("DBACE", "in an empty log"),
        ("AEBDC", "B uses `end` before D"), ("DAECB", "the old items were still there"),
        ("EDBAC", "it had nothing to send"), ("DEBAC", "it had nothing to send"),
        ("DBEAC", "it had nothing to send"), ("DBA", "each of"), ("CDBAE", "the old items"),
        ("DBAECC", "each of"),
    ],
    "4.7": [
        ("offsets = []\nwhile True:\n    try:\n"
         "        async for i in items: offsets.append(i.offset)\n"
         "        return offsets, items.missed\n    except OffsetTruncatedError: pass", RIGHT),
        ("offsets, missed = [], 0\nwhile True:\n    try: i = await anext(items)\n"
         "    except OffsetTruncatedError as e: missed += e.base_offset - e.from_offset\n"
         "    except StopAsyncIteration: return [offsets, missed]\n"
         "    else: offsets.append(i.offset)", RIGHT),
        ("await asyncio.sleep(3)\noffsets = []\nfor _ in range(2):\n    try:\n"
         "        async for i in items: offsets.append(i.offset)\n"
         "    except OffsetTruncatedError: pass\nreturn offsets, items.missed", RIGHT),
        ("return [i.offset async for i in items], items.missed", "It stopped with"),
        ("offsets = []\ntry:\n    async for i in items: offsets.append(i.offset)\n"
         "except OffsetTruncatedError as e: return offsets, e.base_offset - e.from_offset\n"
         "return offsets, 0", "no offsets"),
        ("offsets = []\nfor _ in range(2):\n    try:\n"
         "        async for i in items: offsets.append(i.offset)\n"
         "    except OffsetTruncatedError: pass\nreturn offsets, offsets[0]", "is the base offset"),
        ("offsets = []\nfor _ in range(2):\n    try:\n"
         "        async for i in items: offsets.append(i.offset)\n"
         "    except OffsetTruncatedError: pass\nreturn offsets, 0", "offsets 2 to 5 were gone"),
        ("offsets = []\nwhile True:\n    try:\n"
         "        async for i in items: offsets.append(i.offset)\n"
         "    except OffsetTruncatedError: pass", "asks again for ever"),
        ("offsets = []\nwhile True:\n    async for i in items: offsets.append(i.offset)",
         "It stopped with"),
        ("offsets = []\nwhile True:\n    try: offsets.append((await anext(items)).offset)\n"
         "    except OffsetTruncatedError: pass", "`async for` just ends"),
        ("offsets = []\nwhile True:\n    try: offsets.append((await anext(items)).offset)\n"
         "    except: pass", "asks again for ever"),
        ("offsets = []\nfor _ in range(2):\n    try:\n"
         "        async for i in items: offsets.append(i.offset)\n"
         "    except OffsetTruncatedError: pass\nprint(offsets, items.missed)", PRINTED),
        ("return [6, 7, 8, 9], 4", "but on another: It read"),
        ("offsets = []\nfor _ in range(2):\n    try:\n"
         "        async for i in items: offsets.append(i.offset)\n"
         "    except OffsetTruncatedError: pass\nreturn items.missed, offsets",
         "not a list of offsets"),
        ("offsets = []\nfor _ in range(2):\n    try:\n"
         "        async for i in items: offsets.append(i)\n"
         "    except OffsetTruncatedError: pass\nreturn offsets, items.missed", "each once"),
        ("try: await anext(items)\nexcept OffsetTruncatedError: pass\n"
         "return [(await anext(items)).offset], items.missed", "each once"),
        ("return await read_all(ann)", OF_THE_NOTEBOOK),
    ],
    "5.4": [
        ("text, attempt = '', 0\nfor e in events:\n"
         "    if e.attempt > attempt: text, attempt = '', e.attempt\n"
         "    if e.attempt == attempt and isinstance(e, TextComplete): text = e.text\n"
         "    elif e.attempt == attempt and isinstance(e, TextDelta): text += e.text\n"
         "return text", RIGHT),
        ("import time; time.sleep(3)\nnewest = max(e.attempt for e in events)\n"
         "mine = [e for e in events if e.attempt == newest]\n"
         "whole = [e.text for e in mine if isinstance(e, TextComplete)]\n"
         "return whole[-1] if whole else ''.join(e.text for e in mine if isinstance(e, TextDelta))",
         RIGHT),
        ("return ''.join(getattr(e, 'text', '') for e in events)", "holds the whole text"),
        ("return ''.join(e.text for e in events if isinstance(e, TextDelta))", "counts no longer"),
        ("text = ''\nfor e in events:\n    if isinstance(e, RetryEvent): text = ''\n"
         "    elif isinstance(e, TextComplete): text = e.text\n    else: text += e.text\n"
         "return text", "may only be slow"),
        ("text, attempt = '', 1\nfor e in events:\n"
         "    if isinstance(e, RetryEvent): text, attempt = '', e.attempt\n"
         "    elif e.attempt < attempt: continue\n"
         "    elif isinstance(e, TextComplete): text = e.text\n    else: text += e.text\n"
         "return text", "never saw the retry item"),
        ("newest = max(e.attempt for e in events)\n"
         "return ''.join(e.text for e in events if isinstance(e, TextDelta) and "
         "e.attempt == newest)", "joined in the middle"),
        ("text, attempt = '', 0\nfor e in events:\n"
         "    if e.attempt > attempt: text, attempt = '', e.attempt\n"
         "    if isinstance(e, TextComplete): text = e.text\n"
         "    elif e.attempt == attempt and isinstance(e, TextDelta): text += e.text\n"
         "return text", "the `complete` of an older attempt"),
        ("done = [e.text for e in events if isinstance(e, TextComplete)]\n"
         "newest = max(e.attempt for e in events)\n"
         "return done[0] if done else ''.join(e.text for e in events "
         "if isinstance(e, TextDelta) and e.attempt == newest)",
         "the `complete` of an older attempt"),
        ("print(''.join(e.text for e in events if isinstance(e, TextDelta)))", PRINTED),
        ("return 'The log'", "returned 'The log', not 'A log'"),
        ("return events[-1].text", "not 'A log'"),
        ("t = Transcript()\nfor e in events: t.feed(e)\nreturn t.text", RIGHT),
        ("return [e.text for e in events if isinstance(e, TextDelta)]", "the text to show"),
        ("return screen.text", OF_THE_NOTEBOOK),
        ("text = ''\nfor e in events: text += e.text\nreturn text", "AttributeError"),
        ("for e in events: yield e", "which makes it a generator"),
    ],
    "5.5": [
        ("return status == 429 or status >= 500", RIGHT),
        ("return status == 429 or 500 <= status < 600", RIGHT),
        ("import time; time.sleep(3); return status == 429 or status // 100 == 5", RIGHT),
        ("return status >= 429", "431: do not try again"),
        ("return status in {429, 500, 503}", "502: do try again"),
        ("return status in {401, 429, 500, 503}", "401: do not try again"),
        ("return status != 401", "400: do not try again"),
        ("return status >= 500", "429: do try again"),
        ("return status == 429", "500: do try again"),
        ("return status in (429, 500)", "503: do try again"),
        ("return status in (404, 429) or status >= 500", "404: do not try again"),
        ("return True", "400: do not try again"),
        ("return False", "429: do try again"),
        ('return "yes"', "True or False"),
        ("print(status >= 500)", PRINTED),
        ("status == 429 or status >= 500", "It returned nothing"),
        ("return 429 or status >= 500", "True or False"),
        ("return status == 429 or 500", "True or False"),
        ("return status.code >= 500", "AttributeError"),
        ("while True: pass", LATE),
    ],
    "5.6": [
        ("CEBAD", RIGHT), ("c, e, b, a, d", RIGHT),
        ("CBEAD", "Say first that you start over"), ("CBAED", "Say first that you start over"),
        ("CEABD", "no text yet"), ("CAEBD", "no text yet"), ("CEBDA", "they never do"),
        ("DCEBA", "the body of C"), ("ECBAD", "the body of C"), ("CE", "each of"),
        ("CEBADD", "each of"), ("CEBAE", "each of"),
    ],
    "6.6": [
        ("if sequence <= table.get(publisher_id, 0): return False\n"
         "table[publisher_id] = sequence\nreturn True", RIGHT),
        ("import time; time.sleep(0.3)\nlast = table.get(publisher_id, 0)\n"
         "table[publisher_id] = max(last, sequence)\nreturn sequence > last", RIGHT),
        ("if publisher_id in table and sequence <= table[publisher_id]: return False\n"
         "table[publisher_id] = sequence\nreturn True", RIGHT),
        ("if sequence < table.get(publisher_id, 0): return False\n"
         "table[publisher_id] = sequence\nreturn True", "The same number is the same batch"),
        ("last = table.get(publisher_id, 0)\ntable[publisher_id] = sequence\n"
         "return sequence > last", "had moved the table back"),
        ("if table.get(publisher_id, 0) == sequence: return False\n"
         "table[publisher_id] = sequence\nreturn True", "What is not higher than the last one"),
        ("if sequence == table.get(publisher_id, 0) + 1:\n    table[publisher_id] = sequence\n"
         "    return True\nreturn False", "A gap is a batch that the publisher gave up"),
        ("if table.get(publisher_id, 0) < sequence:\n    table[publisher_id] = sequence + 1\n"
         "    return True\nreturn False", "keep that sequence, and no other"),
        ("if sequence <= max(table.values(), default=0): return False\n"
         "table[publisher_id] = sequence\nreturn True", "Each publisher counts for itself"),
        ("if sequence <= table[publisher_id]: return False\n"
         "table[publisher_id] = sequence\nreturn True", "The table is empty at first"),
        ("return sequence > table.get(publisher_id, 0)", "the table is still empty"),
        ("table = dict(table)\nlast = table.get(publisher_id, 0)\n"
         "table[publisher_id] = sequence\nreturn sequence > last", "the table is still empty"),
        ("return True", "the table is still empty"),
        ("return False", "Each publisher counts for itself"),
        ("print(sequence > table.get(publisher_id, 0))", PRINTED),
        ("if sequence > table.get(publisher_id, 0):\n    table[publisher_id] = sequence\n"
         "    return True", "It returned nothing"),
        ("seen = table.setdefault(publisher_id, set())\nnew = sequence not in seen\n"
         "seen.add(sequence)\nreturn new", "What is not higher than the last one"),
        ("if sequence <= table.get(publisher_id, 0): return False\n"
         "table[publisher_id] = str(sequence)\nreturn True", "TypeError"),
        ("return session", OF_THE_NOTEBOOK),
        ("while True: pass", LATE),
        ("yield True", "which makes it a generator"),
    ],
    "6.7": [
        ("DACBE", RIGHT), ("DACEB", RIGHT), ("d, a, c, b, e", RIGHT), ("DCABE", RIGHT),
        ("ADCBE", "that number was the last batch's"), ("ACBED", "that number was the last batch's"),
        ("CDABE", "each try was a new batch"), ("CADBE", "each try was a new batch"),
        ("ACBDE", "that number was the last batch's"), ("DABCE", "B came before the loop"),
        ("DAECB", "E came before C"), ("BDACE", "B uses `batch` before A"),
        ("DCBAE", "B uses `batch` before A"), ("ABC", "each of"), ("DACBEE", "each of"),
        ("", "each of"),
    ],
    "6.8": [
        ("return publisher_ttl * 2 / 3", RIGHT),
        ("return publisher_ttl / 2", RIGHT),
        ("import time; time.sleep(2); return publisher_ttl * 0.9", RIGHT),
        ("return publisher_ttl", "just as long after the first time"),
        ("return publisher_ttl * 2", "longer after the first time"),
        ("return timedelta(minutes=10)", "but on another"),
        ("return publisher_ttl - timedelta(minutes=5)", "but on another"),
        ("return publisher_ttl - timedelta(microseconds=1)", "leave more room"),
        ("return publisher_ttl / 100", "use more of the TTL"),
        ("return timedelta(seconds=1)", "use more of the TTL"),
        ("return timedelta(0)", "no client would try again"),
        ("return 600", "a timedelta"),
        ("return publisher_ttl.total_seconds() * 2 / 3", "a timedelta"),
        ("print(publisher_ttl / 2)", PRINTED),
        ("publisher_ttl / 2", "It returned nothing"),
        ("return publisher_ttl.seconds / 2", "a timedelta"),
        ("while True: pass", LATE),
        ("return stream", OF_THE_NOTEBOOK),
    ],
    "7.6": [
        ("CDAB", RIGHT), ("c, d, a, b", RIGHT),
        ("DCAB", "a reader waits by an update"), ("DACB", "a reader waits by an update"), ("ADCB", "a reader waits by an update"),
        ("CADB", "A had taken the state before"), ("ACDB", "A had taken the state before"),
        ("CABD", "ended the run below it"), ("ABCD", "ended the run below it"),
        ("ACBD", "ended the run below it"), ("DABC", "a reader waits by an update"),
        ("CDBA", "B uses `state` before A"), ("BACD", "B uses `state` before A"),
        ("CDA", "each of"), ("CDAA", "each of"),
    ],
    "7.7": [
        ("return (most_events - 7) // 4", RIGHT),
        ("import time; time.sleep(2); return int((most_events - 7) / 4)", RIGHT),
        ("return most_events // 4", "What of that is no batch's"),
        ("return (most_events - 1) // 4", "What of that is no batch's"),
        ("return (most_events - 3) // 4", "What of that is no batch's"),
        ("return (most_events - 6) // 4", "What of that is no batch's"),
        ("return (most_events - 8) // 4", "none too many"),
        ("return most_events", "What of that is no batch's"),
        ("return 1", "none too many"),
        ("return (most_events - 7) // 8", "none too many"),
        ("return 5", "Right on one stream; but on another"),
        ("return 0", "takes one batch at least"),
        ("return (most_events - 7) / 4", "a number of batches, whole"),
        ("print((most_events - 7) // 4)", PRINTED),
        ("(most_events - 7) // 4", "It returned nothing"),
        ("return 4096", "What of that is no batch's"),
        ("while True: pass", LATE),
    ],
    "7.8": [
        ("up_to = items[-1].offset + 1\nfor i in reversed(items):\n    room -= i.size\n"
         "    if room < 0: break\n    up_to = i.offset\nreturn up_to", RIGHT),
        ("for n in range(len(items) + 1):\n"
         "    if sum(i.size for i in items[n:]) <= room: return n", RIGHT),
        ("while sum(i.size for i in items) > room: items = items[1:]\n"
         "return items[0].offset if items else 0", RIGHT),
        ("return 0", "there is room for"),
        ("return items[-1].offset + 1", "as many as fit"),
        ("return items[-1].offset", "as many as fit"),
        ("return 3", "Right on one stream; but on another"),
        ("total = 0\nfor i in items:\n    total += i.size\n"
         "    if total > room: return i.offset", "room for"),
        ("return room", "the log begins at 0 and ends at"),
        ("for n in range(len(items)):\n"
         "    if sum(i.size for i in items[n:]) <= room: return n + 1", "as many as fit"),
        ("for n in range(len(items)):\n"
         "    if sum(i.size for i in items[n:]) <= room: return n - 1", "there is room for"),
        ("return [i for i in items if i.size < room]", "the offset to truncate up to"),
        ("print(3)", PRINTED),
        ("return items[0].bytes", "AttributeError"),
        ("while items: pass", LATE),
    ],
    "8.6": [
        ("return latency", RIGHT),
        ("return latency * 0.8", RIGHT),
        ("from datetime import timedelta\nimport time; time.sleep(2)\n"
         "return min(latency, timedelta(milliseconds=200))", RIGHT),
        ("from datetime import timedelta\nreturn timedelta(milliseconds=200)",
         "Right on one stream; but on another"),
        ("from datetime import timedelta\nreturn timedelta(milliseconds=50)", "share a signal"),
        ("from datetime import timedelta\nreturn timedelta(milliseconds=20)", "share a signal"),
        ("from datetime import timedelta\nreturn timedelta(seconds=2)", "may a token wait"),
        ("return latency * 2", "may a token wait"),
        ("from datetime import timedelta\nreturn timedelta(0)", "more than nothing"),
        ("return latency / 10", "share a signal"),
        ("return 0.2", "a timedelta"),
        ("return latency.total_seconds()", "a timedelta"),
        ("print(latency)", PRINTED),
        ("latency", "It returned nothing"),
        ("return latency / bursts", "share a signal"),
    ],
    "8.7": [
        ("BCDA", RIGHT), ("b c d a", RIGHT),
        ("CBDA", "C is B and a bit more"), ("BDCA", "D's one item is larger than C's"),
        ("DBCA", "D's one item is larger than B's"), ("BCAD", "A's items are small"),
        ("ABCD", "each flush brings a frame"), ("BACD", "A hundred flushes write more"),
        ("ADCB", "A's items are small"), ("DCBA", "D's one item is larger than C's"),
        ("CDBA", "D's one item is larger than B's"), ("BCD", "each of"), ("BCDAA", "each of"),
        ("CBAD", "C is B and a bit more"),
    ],
    "8.8": [
        ("key = await store.put(blob)\nstream.topic('files').publish(key)\n"
         "await stream.flush()", RIGHT),
        ("async with stream: stream.topic('files').publish(await store.put(blob))", RIGHT),
        ("await asyncio.sleep(2)\nstream.topic('files').publish(await store.put(blob))\n"
         "await stream.flush()", RIGHT),
        ("stream.topic('files').publish(blob)\nawait stream.flush()", "It published the whole"),
        ("stream.topic('files').publish(await store.put(blob))", "only buffers"),
        ("stream.topic('files').publish(await store.put(blob))\nstream.flush()", AWAIT),
        ("await store.put(blob)", "only buffers"),
        ("stream.topic('files').publish('blob-1')\nawait stream.flush()\nawait store.put(blob)",
         "found nothing under that"),
        ("stream.topic('file').publish(await store.put(blob))\nawait stream.flush()",
         "one item, 'files'"),
        ("await store.put(blob)\nstream.topic('files').publish(len(blob))\nawait stream.flush()",
         "found nothing under that"),
        ("stream.topic('files').publish(await store.put(blob[:9]))\nawait stream.flush()",
         "something else under its key"),
        ("print(await store.put(blob))", "tells only you"),
        ("pass", "Not answered yet"),
        ("await asyncio.sleep(0)", "never uses `store`"),
        ("for n in range(0, len(blob), 500_000):\n"
         "    stream.topic('files').publish(blob[n:n + 500_000])\nawait stream.flush()",
         "one item, 'files'"),
    ],
}  # fmt: skip
