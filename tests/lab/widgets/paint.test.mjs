// What is drawn on the tape: which words, boxes and brackets, and where.

import assert from "node:assert/strict";
import test from "node:test";

import { rowsOf, settle } from "../../../streamlib/lab/widgets/js/geometry.js";
import { Items } from "../../../streamlib/lab/widgets/js/items.js";
import { paintTape, placeReaders, readerLanes } from "../../../streamlib/lab/widgets/js/paint.js";

const INK = { ink: "ink", soft: "soft", faint: "faint", card: "card", accent: "accent", bad: "bad", edge: "edge", pens: ["pen"], code: "", font: "" };

/** A pen that writes down what it is asked to draw. */
class Recorder {
  constructor(width = 900) {
    Object.assign(this, { width, ink: INK, ctx: { globalAlpha: 1 }, words: [], boxes: [], paths: [], hatched: [] });
  }
  box(x, y, width, height, how) { this.boxes.push({ x, y, width, height, alpha: this.ctx.globalAlpha, ...how }); }
  text(words, x, y, color, how = {}) { this.words.push({ words, x, y, color, ...how }); return words.length * 6; }
  path(points) { this.paths.push({ points }); }
  stroke(color, thick = 1, dash = []) { Object.assign(this.paths.at(-1), { color, thick, dash }); }
  hatch(x, y, width, height, color) { this.hatched.push({ x, width, color }); }
}

/** A scene of items with these topics, in batches by `batches` ([id, sequence] of each). */
function scene({ base = 0, topics = [0, 0, 1, 1], batches = topics.map(() => [0, 1]), ...more } = {}) {
  const items = new Items(), end = base + topics.length, width = 900;
  items.bound(base, end);
  items.merge(base, topics, topics.map(() => 9), batches.map(([id]) => id), batches.map(([, seq]) => seq));
  const tails = more.tails ?? [];
  return {
    items, stream: { status: "RUNNING", describes: true, base, end, seams: [], run: 1 },
    place: settle({ left: 0, scale: 30, follow: true, auto: true }, { base, end, tail: tails.length, width }),
    rows: rowsOf(false, 1), palette: ["#e69f00", "#0072b2"], letters: ["N", "W"], hidden: new Set(),
    who: (id) => (id === -2 ? "one of many" : `p${id}`), tails, readers: [], ghosts: new Map(), placed: [],
    selected: null, chosen: null, preview: null, edge: null, still: true, ...more,
  };
}

function drawn(of) {
  const pen = new Recorder();
  paintTape(of, pen, 0);
  return pen;
}
const words = (pen) => pen.words.map((each) => each.words);


test("every item has its topic's letter, on its topic's colour", () => {
  const pen = drawn(scene());
  assert.deepEqual(words(pen).filter((each) => /^[NW]$/.test(each)), ["N", "N", "W", "W"]);
  assert.deepEqual(pen.boxes.filter(({ fill }) => /^#/.test(fill)).map(({ fill }) => fill), ["#e69f00", "#e69f00", "#0072b2", "#0072b2"]);
});

test("a batch is one bracket under its items; publishers that are not told apart make none", () => {
  const two = drawn(scene({ batches: [[0, 1], [0, 1], [1, 1], [1, 1]] }));
  assert.deepEqual(words(two).filter((each) => /#/.test(each)), ["p0 #1", "p1 #1"]);
  const nobody = drawn(scene({ batches: [[-2, 1], [-2, 1], [-1, 0], [-1, 0]] }));
  assert.deepEqual(words(nobody).filter((each) => /#|many/.test(each)), []);
});

test("a seam has the number of the run that took over", () => {
  const of = scene({ rows: rowsOf(true, 1) });
  of.stream.seams = [2];
  of.stream.run = 25;
  assert.ok(words(drawn(of)).includes("run 25"));
});

test("readers at near offsets are all named, in rows of their own, and where they stand", () => {
  const reader = (name, position, below = 0) => ({ name, position, below, held_to: position });
  const of = scene({ readers: [reader("ann", 1), reader("bob", 2), reader("eve", 2), reader("old", 0, 4)], base: 4 });
  const near = scene({ readers: [reader("ann", 1), reader("bob", 2), reader("eve", 2)] });
  near.rows = rowsOf(false, 2);
  const names = drawn(near).words.filter((each) => /ann|bob/.test(each.words));
  assert.deepEqual(names.map((each) => each.words), ["ann", "bob, eve"]);
  assert.ok(names[0].y < names[1].y, "the second one's triangle would cover the first one's name");
  const [lost] = placeReaders(of, 900);
  assert.equal(lost.words, "old, 4 gone");
  assert.equal(lost.below, true);
});

test("neither a name nor a triangle covers another; what finds no room is told", () => {
  const label = (tip, width) => ({ tip, x: tip + 8, width });
  assert.deepEqual(readerLanes([label(0, 50), label(100, 50)]), [0, 0]);
  assert.deepEqual(readerLanes([label(0, 22), label(34, 22)]), [1, 0], "the second one's triangle begins at 27");
  assert.deepEqual(readerLanes([label(0, 50), label(20, 50), label(40, 5)]), [2, 1, 0]);
  assert.deepEqual(readerLanes([label(0, 50), label(1, 50), label(2, 50)], 2), [-1, 1, 0]);
  assert.deepEqual(readerLanes([label(0, 50), { tip: 100, x: 40, width: 52 }]), [1, 0], "one at the right edge is named at its left");
});

test("what waits is dashed, what is not acknowledged is dotted, and neither is filled as if it were stored", () => {
  const pen = drawn(scene({ tails: [{ id: 0, seq: 2, topic: 1 }, { id: -1, topic: -1 }] }));
  const [waits, unsent] = pen.boxes.filter(({ dash }) => dash?.length);
  assert.deepEqual([waits.dash, unsent.dash], [[4, 3], [2, 4]]);
  assert.ok(waits.alpha <= 0.2 && unsent.alpha <= 0.2);
  const brackets = pen.paths.filter(({ color }) => color === "pen").map(({ dash }) => dash);
  assert.deepEqual(brackets, [[], [3, 3]], "and so is its batch's bracket");
});

test("what is truncated is hatched and said; what would be, is hatched in red", () => {
  const pen = drawn(scene({ base: 6, preview: 8, edge: 8 }));
  assert.ok(words(pen).includes("0–5") && words(pen).includes("truncated"));
  assert.deepEqual(pen.hatched.map(({ color }) => color), ["soft", "bad"]);
  assert.equal(drawn(scene()).hatched.length, 0);
});

test("the next offset stands at the open edge; a stream that has ended ends in a bar", () => {
  const open = drawn(scene()), of = scene();
  assert.equal(open.words.find((each) => each.words === "4").color, "accent");
  of.stream.status = "COMPLETED";
  const ended = drawn(of);
  assert.equal(ended.words.find((each) => each.words === "4").color, "ink");
  assert.ok(ended.boxes.some(({ fill, width }) => fill === "ink" && width === 4));
});

test("a topic that is left out is faint, the others are not", () => {
  const pen = drawn(scene({ hidden: new Set([0]) }));
  assert.deepEqual(pen.boxes.filter(({ fill }) => /^#/.test(fill)).map(({ alpha }) => alpha), [0.13, 0.13, 1, 1]);
});

test("a dropped duplicate lies below the copy that won", () => {
  const of = scene();
  of.ghosts = new Map([["k", { key: "k", id: 0, seq: 1, first: 2, items: 2, copies: 2, born: -1e9 }]]);
  const mark = drawn(of).words.find((each) => /✕/.test(each.words));
  assert.equal(mark.words, "✕ #1 ×2");
  assert.ok(mark.y > of.rows.cell + of.rows.tall);
  assert.ok(mark.x > (2 - of.place.left) * of.place.scale && mark.x < (4 - of.place.left) * of.place.scale);
});
