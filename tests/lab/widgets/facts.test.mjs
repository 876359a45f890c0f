// What the picture says: lag, gaps, paces, states, words.

import assert from "node:assert/strict";
import test from "node:test";

import { collectGhosts, inkOn, pace, seamNames, stateOf, stranded } from "../../../streamlib/lab/widgets/js/facts.js";
import { Items } from "../../../streamlib/lab/widgets/js/items.js";
import { bytes, count, offsets, plural, short, span, whole } from "../../../streamlib/lab/widgets/js/words.js";

const reader = (key, held_to, more = {}) => ({ key, name: `the ${key}`, state: "open", held_to, only: null, ...more });

test("a preview names the open readers that would miss something, and how much", () => {
  const readers = [reader("a", 5), reader("b", 8), reader("c", 2, { state: "ended COMPLETED" }), reader("d", 9)];
  const misses = { key: "a", name: "the a", misses: 3, exact: true };
  assert.deepEqual(stranded(readers, 8, new Items()), [misses]);
  assert.deepEqual(stranded(readers, 5, new Items()), []);
});

test("a reader of one topic misses its own items only; so many offsets where they are not known", () => {
  const items = new Items();
  items.bound(4, 10);
  items.merge(4, [0, 1, 0, 1, 1, 1], Array(6).fill(1), Array(6).fill(0), Array(6).fill(1));
  const of = (held_to) => stranded([reader("a", held_to, { only: [1] })], 8, items).map(({ misses, exact }) => [misses, exact]);
  assert.deepEqual(of(4), [[2, true]]);
  assert.deepEqual(of(2), [[4, false]], "two offsets are gone, and nobody knows whose they were");
  assert.deepEqual(stranded([reader("a", 4, { only: [0] })], 7, items)[0].misses, 2);
  assert.deepEqual(stranded([reader("a", 7, { only: [0] })], 10, items), [], "nothing of its own is there");
});

test("a seam names the run that took over, where that is sure", () => {
  assert.deepEqual(seamNames({ seams: [4, 9], run: 3 }), ["run 2", "run 3"]);
  assert.deepEqual(seamNames({ seams: [4, 9], run: 25 }), ["a run", "run 25"]);
  assert.deepEqual(seamNames({ seams: [4, 9], run: null }), ["a run", "this run"]);
});

test("the pace of the last 30 seconds tells when a limit is reached", () => {
  const samples = [{ at: 0, used: 900 }, { at: 40_000, used: 100 }, { at: 50_000, used: 200 }];
  assert.equal(pace(samples, 1200, 50_000), 100_000);
  assert.equal(pace(samples, 1200, 60_000), 200_000, "it slows down while nothing comes");
});

test("no pace without growth, or without time to see it", () => {
  assert.equal(pace([], 10, 0), null);
  assert.equal(pace([{ at: 0, used: 5 }], 10, 9000), null);
  assert.equal(pace([{ at: 0, used: 5 }, { at: 9000, used: 5 }], 10, 9000), null);
  assert.equal(pace([{ at: 0, used: 5 }, { at: 500, used: 9 }], 10, 500), null);
  assert.equal(pace([{ at: 0, used: 5 }, { at: 9000, used: 9 }], 10, 9000), null, "a few events are no pace");
  assert.equal(pace([{ at: 0, used: 5 }, { at: 1000, used: 9 }], 10, 90_000), null);
});

test("the state is the worst that is true", () => {
  const live = { stream: { status: "RUNNING" }, trouble: "" };
  assert.equal(stateOf({}, 0, 0, false), "empty");
  assert.equal(stateOf(live, 0, 0.4, false), "live");
  assert.equal(stateOf({ ...live, stream: { status: "COMPLETED" } }, 0, 0, false), "closed");
  assert.equal(stateOf({ ...live, trouble: "no worker" }, 0, 0, false), "stale");
  assert.equal(stateOf({ stream: null, trouble: "no server" }, 0, 0, false), "stale");
  assert.equal(stateOf({ ...live, trouble: "no worker" }, 0, 3.1, false), "busy");
  assert.equal(stateOf(live, 3001, 5, false), "gone");
  assert.equal(stateOf(live, 0, 0, true), "gone");
});

const duplicate = (seq, first, id = 0) => [id, seq, "duplicate", first, 2, ""];

test("duplicates become ghosts, once a batch, with how often it came", () => {
  const accepted = [0, 1, "accepted", 10, 2, ""], refused = [0, 3, "refused", null, 0, "why"];
  const ghosts = collectGhosts(new Map(), [accepted, duplicate(1, 10), refused, duplicate(1, 10), duplicate(1, 12, 1), duplicate(9, null)], 0, 5);
  assert.deepEqual([...ghosts.values()].map(({ key, first, copies, born }) => [key, first, copies, born]), [["0:1:10", 10, 2, 5], ["1:1:12", 12, 1, 5]]);
});

test("only a new ghost falls; one that the frame no longer tells stays", () => {
  const before = collectGhosts(new Map(), [duplicate(1, 10), duplicate(2, 12)], 0, 100);
  const after = collectGhosts(before, [duplicate(2, 12), duplicate(2, 12)], 0, 200);
  assert.equal(after.get("0:1:10").born, 100);
  assert.deepEqual([after.get("0:2:12").born, after.get("0:2:12").copies], [200, 2]);
  const again = collectGhosts(after, [duplicate(2, 12), duplicate(2, 12)], 0, 300);
  assert.equal(again.get("0:2:12").born, 200, "told again, it lies where it is");
});

test("a ghost goes with the copy that won", () => {
  const ghosts = collectGhosts(new Map(), [duplicate(1, 10), duplicate(2, 12)], 0, 0);
  assert.deepEqual([...collectGhosts(ghosts, [], 12, 0).keys()], ["0:2:12"]);
});

test("ghosts are bounded", () => {
  const many = Array.from({ length: 2500 }, (_, i) => duplicate(i, i * 2));
  const ghosts = collectGhosts(new Map(), many, 0, 0);
  assert.equal(ghosts.size, 2000);
  assert.ok(ghosts.has("0:2499:4998") && !ghosts.has("0:0:0"));
});

test("numbers", () => {
  assert.deepEqual([0, 999, 1000, 1234567].map(count), ["0", "999", "1,000", "1,234,567"]);
  assert.deepEqual([plural(1, "item"), plural(2, "item"), plural(0, "batch", "batches")], ["1 item", "2 items", "0 batches"]);
  assert.deepEqual([0, 999, 1024, 5900, 1e6, 5e9].map(bytes), ["0 B", "999 B", "1.0 KB", "5.8 KB", "977 KB", "4.7 GB"]);
  assert.deepEqual([500, 3400, 89_000, 120_000, 7.2e6, 4 * 864e5].map(span), ["< 1 s", "3 s", "89 s", "2 min", "2 h", "4 d"]);
  assert.deepEqual([offsets(4, 1), offsets(4, 3), offsets(0, 1042)], ["4", "4–6", "0–1,041"]);
});

test("long text is cut, short text is not", () => {
  assert.equal(short("x".repeat(500), 10).length, 10);
  assert.equal(short("exactly ten"), "exactly ten");
  assert.equal(short(undefined), "undefined");
});

test("a letter can be read on its colour", () => {
  assert.equal(inkOn("#f0e442"), "#000");
  assert.equal(inkOn("#0072b2"), "#fff");
  assert.equal(inkOn("#d00000"), "#fff");
  // The same as in the picture (`picture.py`), for all of the palette.
  for (const color of ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#f0e442"]) assert.equal(inkOn(color), "#000");
});

test("what somebody typed is a whole number from 0 on", () => {
  assert.deepEqual(["12", "", "-3", "2.9", "x"].map(whole), [12, 0, 0, 2, 0]);
});
