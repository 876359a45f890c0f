// What the browser knows of a stream: merging, holes, what to ask for.

import assert from "node:assert/strict";
import test from "node:test";

import { CHUNK, Items, columns, expandRuns, nextRange, sameBatch } from "../../../streamlib/lab/widgets/js/items.js";

const fill = (n, value) => Array(n).fill(value);

/** Items whose topic is offset % 7, size the offset, publisher 1, a batch every ten offsets. */
function merge(items, first, n) {
  const at = Array.from({ length: n }, (_, i) => first + i);
  return items.merge(first, at.map((o) => o % 7), at, fill(n, 1), at.map((o) => Math.floor(o / 10)));
}

function stream(base, end) {
  const items = new Items();
  items.bound(base, end);
  return items;
}

test("what was merged is there, and nothing else", () => {
  const items = stream(0, 100);
  assert.equal(merge(items, 20, 10), 10);
  assert.deepEqual(items.at(25), { topic: 4, size: 25, id: 1, seq: 2 });
  assert.equal(items.at(19), null);
  assert.equal(items.at(30), null);
  assert.equal(items.fetched, 10);
});

test("merging again, overlapping and out of order changes nothing that is known", () => {
  const once = stream(0, 10000), often = stream(0, 10000);
  merge(once, 0, 10000);
  for (const [first, n] of [[9000, 1000], [4000, 200], [0, 4097], [3000, 6000], [8500, 1500], [0, 10]]) {
    merge(often, first, n);
  }
  assert.equal(often.fetched, 10000);
  assert.equal(merge(often, 2000, 5000), 0);
  for (let offset = 0; offset < 10000; offset += 97) assert.deepEqual(often.at(offset), once.at(offset));
});

test("random ranges and truncations agree with a plain list", () => {
  let seed = 11;
  const random = (n) => Math.floor(((seed = (seed * 48271) % 2147483647) / 2147483647) * n);
  const items = stream(0, 20000), list = new Set();
  for (let round = 0; round < 200; round++) {
    if (random(8) === 0) {
      const base = Math.min(19000, items.base + random(900));
      items.bound(base, 20000);
      for (const offset of list) if (offset < base) list.delete(offset);
    }
    const first = random(20000), n = 1 + random(600);
    merge(items, first, n);
    for (let o = Math.max(first, items.base); o < Math.min(first + n, 20000); o++) list.add(o);
    assert.equal(items.fetched, list.size);
  }
  for (let offset = 0; offset < 20000; offset++) assert.equal(items.at(offset) !== null, list.has(offset));
});

test("truncation forgets what is below the base, in the middle of a chunk too", () => {
  const items = stream(0, 3 * CHUNK);
  merge(items, 0, 3 * CHUNK);
  items.bound(CHUNK + 100, 3 * CHUNK);
  assert.equal(items.fetched, 2 * CHUNK - 100);
  assert.equal(items.at(CHUNK + 99), null);
  assert.equal(items.at(CHUNK + 100).size, CHUNK + 100);
  assert.equal(items.chunks.size, 2);
});

test("a late answer brings back neither truncated items nor older bounds", () => {
  const items = stream(50, 100);
  assert.equal(merge(items, 0, 60), 10);
  items.bound(20, 80);
  assert.deepEqual([items.base, items.end, items.at(49)], [50, 100, null]);
});

test("nothing at or above the end is taken", () => {
  const items = stream(0, 10);
  assert.equal(merge(items, 5, 10), 5);
  assert.equal(items.at(10), null);
});

test("a publisher that was known stays known when the stream forgets its batch", () => {
  const items = stream(0, 10);
  merge(items, 0, 10);
  items.merge(0, fill(10, 0), fill(10, 0), fill(10, -1), fill(10, 0));
  assert.equal(items.at(3).id, 1);
});

test("a batch is found from any of its items, and the workflow's own items are in none", () => {
  const items = stream(0, 30);
  merge(items, 0, 30);
  assert.deepEqual(items.batch(17), { id: 1, seq: 1, first: 10, items: 10 });
  const own = stream(0, 3);
  own.merge(0, [0, 0, 0], [1, 1, 1], [-1, -1, -1], [0, 0, 0]);
  assert.equal(own.batch(1), null);
});

test("the last hole is found, across chunks, within bounds", () => {
  const items = stream(0, 3 * CHUNK);
  assert.equal(items.lastHole(0, 3 * CHUNK), 3 * CHUNK - 1);
  merge(items, 2 * CHUNK, CHUNK);
  assert.equal(items.lastHole(0, 3 * CHUNK), 2 * CHUNK - 1);
  merge(items, 0, 2 * CHUNK - 1);
  assert.equal(items.lastHole(0, 3 * CHUNK), 2 * CHUNK - 1);
  assert.equal(items.lastHole(0, CHUNK), -1);
  merge(items, 2 * CHUNK - 1, 1);
  assert.equal(items.lastHole(-5, 9 * CHUNK), -1);
});

test("no hole below the base, none above the end", () => {
  const items = stream(100, 200);
  merge(items, 100, 100);
  assert.equal(items.lastHole(0, 5000), -1);
});

test("what is in view is asked for first, then the newest", () => {
  const items = stream(0, 20000);
  merge(items, 19000, 1000);
  assert.deepEqual(nextRange(items, 5000, 5100, 50), { first: 5050, count: 50 });
  assert.deepEqual(nextRange(items, 19000, 20000, 50), { first: 18950, count: 50 });
});

test("a request is never longer than an answer, nor begins with what is known or gone", () => {
  const items = stream(90, 200);
  merge(items, 95, 5);
  merge(items, 150, 50);
  assert.deepEqual(nextRange(items, 150, 200), { first: 90, count: 60 });
  assert.deepEqual(nextRange(items, 150, 200, 55), { first: 100, count: 50 });
  assert.equal(nextRange(items, 0, 0).count <= CHUNK, true);
});

test("asking until nothing is missing ends, with few requests", () => {
  const items = stream(1000, 101000);
  let requests = 0;
  for (let end = 1512; end <= 101000; end += 1000) merge(items, end - 512, 512); // frames at a fast pace
  for (let range; (range = nextRange(items, 60000, 60100)); requests++) merge(items, range.first, range.count);
  assert.equal(items.fetched, 100000);
  assert.ok(requests <= 30, `${requests} requests`);
});

test("runs become columns", () => {
  assert.deepEqual(expandRuns([[3, 0, 7], [1, -1, 0], [2, 1, 4]]), [[0, 0, 0, -1, 1, 1], [7, 7, 7, 0, 4, 4]]);
  assert.deepEqual(expandRuns([]), [[], []]);
});

test("an answer's columns may begin at an odd address", () => {
  const odd = (array) => {
    const bytes = new Uint8Array(array.byteLength + 1);
    bytes.set(new Uint8Array(array.buffer), 1);
    return new DataView(bytes.buffer, 1, array.byteLength);
  };
  const sent = [Uint16Array.of(1, 65000), Uint32Array.of(5, 4e9), Int16Array.of(-1, 3), Uint32Array.of(0, 9)];
  assert.deepEqual(columns(sent.map(odd)), sent);
  assert.deepEqual(columns(sent.map((each) => each.buffer)), sent);
});

test("batches of publishers that are not told apart are nobody's", () => {
  const items = stream(0, 4);
  items.merge(0, fill(4, 0), fill(4, 1), fill(4, -2), fill(4, 1));
  assert.equal(items.batch(1), null);
  assert.equal(sameBatch(items.at(1), items.at(2)), false);
});

test("a reader's topics are counted where all is known, and only there", () => {
  const items = stream(10, 60);
  merge(items, 10, 40);
  assert.equal(items.countOf([0, 1], 14, 28), 4);
  assert.equal(items.countOf([0], 0, 14), 0, "nothing below the base");
  assert.equal(items.countOf([0], 40, 60), null);
});
