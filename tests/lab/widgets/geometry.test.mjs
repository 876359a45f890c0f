// Where things are on the tape: pan, zoom, follow, bins, ghosts, what is under the pointer.

import assert from "node:assert/strict";
import test from "node:test";

import {
  KINDS, STUB, bin, fitScale, hit, offsetAt, pan, placeGhosts, rowsOf, rulerStep, settle, tail, xOf, zoom,
} from "../../../streamlib/lab/widgets/js/geometry.js";
import { CHUNK, Items } from "../../../streamlib/lab/widgets/js/items.js";

const space = { base: 0, end: 1000, tail: 0, width: 900 };
const close = (a, b, by = 1e-6) => assert.ok(Math.abs(a - b) <= by, `${a} is not ${b}`);

function known(base, end, topic = (o) => o % 2) {
  const items = new Items(), n = end - base, at = Array.from({ length: n }, (_, i) => base + i);
  items.bound(base, end);
  items.merge(base, at.map(topic), at, at.map((o) => (o % 10 === 9 ? -1 : 0)), at.map((o) => Math.floor(o / 10)));
  return items;
}

test("following, the open edge is in view", () => {
  const place = settle({ left: 0, scale: 30, follow: true }, space);
  const edge = xOf(1001, place);
  assert.ok(edge <= 900 && edge > 860, `${edge}`);
});

test("following goes on as the stream grows; not following stays", () => {
  const grown = { ...space, end: 1100 };
  const follows = settle({ left: 0, scale: 30, follow: true }, space);
  assert.ok(settle(follows, grown).left > follows.left);
  const stays = settle({ left: 500, scale: 30, follow: false }, space);
  assert.equal(settle(stays, grown).left, stays.left);
});

test("panning stops at both ends; at the base a stub of what is gone stays in view", () => {
  const bounded = { ...space, base: 400 };
  const place = { left: 700, scale: 30, follow: false };
  close(xOf(400, pan(place, bounded, -1e9)), STUB);
  assert.equal(pan(place, bounded, 1e9).follow, true);
  assert.equal(pan(place, bounded, 600).follow, false);
});

test("when the base passes what was in view, the view moves on", () => {
  const place = settle({ left: 100, scale: 30, follow: false }, space);
  close(xOf(600, settle(place, { ...space, base: 600 })), STUB);
});

test("zooming keeps what is under the pointer", () => {
  const place = { left: 500, scale: 20, follow: false };
  const anchor = 500 + 300 / 20;
  for (const factor of [0.5, 0.8, 1.3, 2]) close(xOf(anchor, zoom(place, space, factor, 300)), 300);
});

test("zoom is limited: everything at one end, readable cells at the other", () => {
  const place = { left: 500, scale: 20, follow: false };
  close(zoom(place, space, 1e-9, 300).scale, fitScale(space));
  const near = zoom(place, space, 1e9, 300).scale;
  assert.ok(near > 30 && near < 60, `${near}`);
});

test("at the fitting scale everything is in view", () => {
  for (const each of [space, { ...space, base: 300, tail: 4 }, { ...space, end: 1e6, base: 5e5 }]) {
    const place = settle({ left: 0, scale: 0, follow: true }, each);
    assert.ok(xOf(each.base, place) >= 0);
    assert.ok(xOf(each.end + each.tail + 1, place) <= each.width + 1e-6);
  }
});

test("a small stream begins at the left, in cells of a readable size", () => {
  const few = { base: 0, end: 5, tail: 0, width: 900 }, place = settle({ left: 9, scale: 1, follow: true, auto: true }, few);
  assert.ok(xOf(0, place) >= 0 && xOf(0, place) < 30);
  assert.ok(place.scale >= 22 && place.scale <= 34);
});

test("pixels and offsets are each other's inverse", () => {
  const place = { left: 12.25, scale: 7 };
  for (let offset = 13; offset < 60; offset++) {
    assert.equal(offsetAt(xOf(offset, place) + 0.01, place), offset);
    assert.equal(offsetAt(xOf(offset + 1, place) - 0.01, place), offset);
  }
});

test("a ruler's labels stay apart, at round steps", () => {
  assert.deepEqual([30, 10, 3, 0.1, 0.001].map((scale) => rulerStep(scale, 40)), [2, 5, 20, 500, 50000]);
  for (const scale of [0.003, 0.07, 1, 9, 46]) assert.ok(rulerStep(scale, 50) * scale >= 50);
});

test("every item is in one column of pixels", () => {
  const items = known(100, 1000, (o) => o % 3), place = { left: 0, scale: 0.5 };
  const bins = bin(items, place, 500), sum = (kind) => Array.from({ length: 500 }, (_, c) => bins[c * KINDS + kind]).reduce((a, b) => a + b);
  assert.deepEqual([0, 1, 2, KINDS - 1].map(sum), [300, 300, 300, 0]);
  assert.equal(bins.slice(0, 50 * KINDS).some(Boolean), false, "nothing below the base");
});

test("what is not fetched is a kind of its own, and so stays visible", () => {
  const items = new Items();
  items.bound(0, 1000);
  items.merge(0, Array(400).fill(1), Array(400).fill(0), Array(400).fill(0), Array(400).fill(0));
  const bins = bin(items, { left: 0, scale: 0.1 }, 100);
  assert.equal(bins[39 * KINDS + 1], 10);
  assert.equal(bins[40 * KINDS + KINDS - 1], 10);
});

test("a column of very many items is sampled, in all its kinds", () => {
  const items = known(0, 10 * CHUNK, (o) => Math.floor(o / 5) % 2), bins = bin(items, { left: 0, scale: 1 / CHUNK }, 10);
  assert.ok(bins[0] > 80 && bins[1] > 80 && bins[0] + bins[1] <= 512);
});

test("topics beyond the kinds share the last one", () => {
  const items = known(0, 10, () => 900), bins = bin(items, { left: 0, scale: 0.1 }, 1);
  assert.equal(bins[KINDS - 2], 10);
});

test("after the end: waiting batches by topic, then what is not sent", () => {
  const cells = tail([[0, 4, [1, 2]], [1, 9, [0]]], 2);
  assert.deepEqual(cells.map(({ id, seq, topic }) => [id, seq, topic]),
    [[0, 4, 1], [0, 4, 2], [1, 9, 0], [-1, undefined, -1], [-1, undefined, -1]]);
  assert.equal(tail([[0, 4, [1]], [0, 4, [1]]], 0).length, 1, "a batch that was sent twice will be there once");
  assert.ok(tail([], 1e6).length < 20);
  assert.ok(tail(Array.from({ length: 50 }, (_, i) => [0, i, Array(1000).fill(0)]), 0).length <= 200);
});

const ghost = (first, items, copies = 1) => ({ key: `0:${first}`, id: 0, seq: first, first, items, copies });

test("a ghost is below the copy that won", () => {
  const place = { left: 0, scale: 30 }, [one] = placeGhosts([ghost(10, 3)], place, 900);
  assert.equal(one.x, 300);
  assert.equal(one.lane, 0);
  assert.ok(one.width <= 90 && one.width > 80);
});

test("ghosts that would overlap use the second lane, and are counted when it is full", () => {
  const placed = placeGhosts([ghost(12, 1, 2), ghost(10, 1), ghost(11, 1)], { left: 0, scale: 20 }, 900);
  assert.deepEqual(placed.map((each) => [each.ghost.first, each.lane]), [[10, 0], [11, 1]]);
  assert.equal(placed.reduce((sum, each) => sum + each.also, 0), 2);
});

test("ghosts stay visible when items are smaller than pixels, and are not drawn out of view", () => {
  const placed = placeGhosts([ghost(5000, 2), ghost(90000, 2)], { left: 0, scale: 0.01 }, 800);
  assert.equal(placed.length, 1);
  assert.ok(placed[0].width >= 8);
});

test("what is under the pointer", () => {
  const items = known(10, 30), rows = rowsOf(false, 0), place = { left: 0, scale: 20 };
  const placed = placeGhosts([ghost(12, 4)], place, 900), tails = tail([[3, 5, [1]]], 0);
  const at = (x, y) => hit(x, y, { rows, place, items, placed, tails, edge: 10 });
  const middle = rows.cell + rows.tall / 2;
  assert.deepEqual(at(250, middle), { kind: "item", offset: 12 });
  assert.deepEqual(at(250, rows.batch + 4), { kind: "batch", id: 0, seq: 1, first: 10, items: 9 });
  assert.deepEqual(at(390, rows.batch + 4), { kind: "item", offset: 19 }, "of no batch");
  assert.equal(at(250, rows.ghost + 5).kind, "ghost");
  assert.equal(at(250, rows.ghost + rows.lane + 5).kind, "none");
  assert.equal(at(100, middle).kind, "gone");
  assert.deepEqual(at(610, middle), { kind: "tail", id: 3, seq: 5, topic: 1 });
  assert.equal(at(700, middle).kind, "none");
  assert.equal(at(197, middle).kind, "edge");
  assert.equal(at(203, rows.batch + 4).kind, "batch", "below the cells there is no handle");
});

test("a row of seams moves the rest down", () => {
  assert.ok(rowsOf(true, 0).cell > rowsOf(false, 1).cell);
  assert.ok(rowsOf(true, 0).height > rowsOf(false, 0).height);
  assert.ok(rowsOf(false, 3).cell > rowsOf(false, 1).cell, "and so do rows of names");
});
