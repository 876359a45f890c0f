// What the picture says: lag, gaps, paces, states, words.

import assert from "node:assert/strict";
import test from "node:test";

import {
  bytes, collectGhosts, count, inkOn, letters, offsets, pace, plural, short, span, standing, stateOf, stranded, widget,
} from "./view.mjs";

test("lag is what is left to read, and never negative", () => {
  assert.deepEqual(standing(50, 40, 60), { lag: 10, below: 0 });
  assert.deepEqual(standing(60, 40, 60), { lag: 0, below: 0 });
  assert.deepEqual(standing(37, 40, 60), { lag: 20, below: 3 });
  assert.deepEqual(standing(70, 40, 60), { lag: 0, below: 0 });
});

test("a preview names the open readers that would miss something, and how much", () => {
  const row = (key, position, state = "open") => [key, `the ${key}`, [], position, 0, 0, state, false];
  const readers = [row("a", 5), row("b", 8), row("c", 2, "closed"), row("d", 9)];
  assert.deepEqual(stranded(readers, 8), [{ key: "a", name: "the a", misses: 3 }]);
  assert.deepEqual(stranded(readers, 5), []);
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
  assert.deepEqual([...ghosts.values()].map(({ key, first, copies, born }) => [key, first, copies, born]), [["0:1", 10, 2, 5], ["1:1", 12, 1, 5]]);
});

test("only a new ghost falls; one that the frame no longer tells stays", () => {
  const before = collectGhosts(new Map(), [duplicate(1, 10), duplicate(2, 12)], 0, 100);
  const after = collectGhosts(before, [duplicate(2, 12), duplicate(2, 12)], 0, 200);
  assert.equal(after.get("0:1").born, 100);
  assert.deepEqual([after.get("0:2").born, after.get("0:2").copies], [200, 2]);
});

test("a ghost goes with the copy that won", () => {
  const ghosts = collectGhosts(new Map(), [duplicate(1, 10), duplicate(2, 12)], 0, 0);
  assert.deepEqual([...collectGhosts(ghosts, [], 12, 0).keys()], ["0:2"]);
});

test("ghosts are bounded", () => {
  const many = Array.from({ length: 2500 }, (_, i) => duplicate(i, i * 2));
  const ghosts = collectGhosts(new Map(), many, 0, 0);
  assert.equal(ghosts.size, 2000);
  assert.ok(ghosts.has("0:2499") && !ghosts.has("0:0"));
});

test("each topic has a letter of its own, if possible from its name", () => {
  assert.deepEqual(letters(["status", "progress", "stats", "s", "…"]), ["S", "P", "T", "A", "B"]);
  assert.equal(new Set(letters(Array(36).fill("x"))).size, 36);
  assert.equal(letters(Array(40).fill("x")).at(-1), "?");
});

test("a letter does not change when a topic joins", () => {
  assert.deepEqual(letters(["status", "stats", "new"]).slice(0, 2), letters(["status", "stats"]));
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
  assert.equal(inkOn("#56b4e9"), "#000");
});

test("the module can be imported without a page, and is a widget", () => {
  assert.equal(typeof widget.render, "function");
});
