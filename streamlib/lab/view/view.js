// A live picture of a stream, drawn in the browser; `view.css` is its look.
//
//     kernel --frame (trait), answers (messages)--> [ View ] --commands (model.send)--> kernel
//                                                      |
//                          Items: what is known of each offset --> canvas tape, HTML panels
//
// Reading order: words and numbers, items, geometry, facts (all pure, tested in node), then the
// page: drawing, panels, and last the View, which hears, asks and decides when to draw.
// Nothing here writes a trait, and text from outside becomes text, never markup.

// ---------------------------------------------------------------- words and numbers (pure)

const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

/** 1234567 -> "1,234,567": the same in every locale, so that pictures can be compared. */
export const count = (n) => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");

/** "1 item", "1,200 items". */
export const plural = (n, word, many = word + "s") => `${count(n)} ${n === 1 ? word : many}`;

/** Bytes with three significant digits at most. */
export function bytes(n) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  while (n >= 1000 && at < units.length - 1) { n /= 1024; at++; }
  return `${at && n < 99.95 ? n.toFixed(1) : Math.round(n)} ${units[at]}`;
}

/** A time span in its largest unit: "3 s", "2 min", "5 h", "4 d". */
export function span(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 1) return "< 1 s";
  if (s < 90) return `${Math.floor(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  return s < 129600 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
}

/** Text of a sane length; the whole of it belongs in a title. */
export const short = (text, most = 24) =>
  String(text).length > most ? String(text).slice(0, most - 1) + "…" : String(text);

/** Offsets as a reader says them: "4", "4–6". */
export const offsets = (first, size) =>
  size > 1 ? `${count(first)}–${count(first + size - 1)}` : count(first);

/** A letter for each topic: the first of its own that is free, else any. "?" when all are used. */
export function letters(topics) {
  const taken = new Set();
  return topics.map((topic) => {
    const own = String(topic).toUpperCase().replace(/[^A-Z0-9]/g, "");
    const letter = [...own, ..."ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"].find((c) => !taken.has(c));
    taken.add(letter);
    return letter ?? "?";
  });
}

// ---------------------------------------------------------------- items (pure)

export const CHUNK = 4096;
const UNKNOWN = 0xffff;

/**
 * What is known of each offset in [base, end): four columns, in chunks of 4,096 offsets.
 * Merging is idempotent and in any order; below the base nothing is kept.
 */
export class Items {
  constructor() { this.clear(); }

  clear() {
    this.chunks = new Map(); // number -> {topic, size, id, seq, known}
    this.base = 0;
    this.end = 0;
    this.fetched = 0; // offsets known
  }

  /** Move the bounds forward. They never go back, so an older answer does no harm. */
  bound(base, end) {
    this.end = Math.max(this.end, end, base);
    if (base <= this.base) return;
    this.base = base;
    const edge = Math.floor(base / CHUNK);
    for (const [number, chunk] of this.chunks) {
      if (number < edge) {
        this.fetched -= chunk.known;
        this.chunks.delete(number);
      } else if (number === edge) {
        this.#forget(chunk, base - edge * CHUNK);
      }
    }
  }

  #forget(chunk, below) {
    for (let at = 0; at < below; at++) {
      if (chunk.topic[at] === UNKNOWN) continue;
      chunk.topic[at] = UNKNOWN;
      chunk.known--;
      this.fetched--;
    }
  }

  /** Take columns for consecutive offsets from `first`; returns how many of them are new. */
  merge(first, topic, size, id, seq) {
    let fresh = 0;
    const from = Math.max(0, this.base - first);
    const to = Math.min(topic.length, this.end - first);
    for (let i = from; i < to; i++) {
      const offset = first + i;
      const chunk = this.#chunk(Math.floor(offset / CHUNK));
      const at = offset % CHUNK;
      const known = chunk.topic[at] !== UNKNOWN;
      // A publisher that was known stays known when the stream has forgotten its batch.
      if (known && id[i] < 0) continue;
      if (!known) { chunk.known++; fresh++; }
      chunk.topic[at] = Math.min(topic[i], UNKNOWN - 1);
      chunk.size[at] = size[i];
      chunk.id[at] = id[i];
      chunk.seq[at] = seq[i];
    }
    this.fetched += fresh;
    return fresh;
  }

  #chunk(number) {
    let chunk = this.chunks.get(number);
    if (!chunk) {
      chunk = {
        topic: new Uint16Array(CHUNK).fill(UNKNOWN), size: new Uint32Array(CHUNK),
        id: new Int16Array(CHUNK), seq: new Uint32Array(CHUNK), known: 0,
      };
      this.chunks.set(number, chunk);
    }
    return chunk;
  }

  has(offset) {
    const chunk = this.chunks.get(Math.floor(offset / CHUNK));
    return !!chunk && chunk.topic[offset % CHUNK] !== UNKNOWN;
  }

  /** One item, or null where nothing is known. `id` is -1 for the workflow's own. */
  at(offset) {
    if (offset < this.base || offset >= this.end || !this.has(offset)) return null;
    const chunk = this.chunks.get(Math.floor(offset / CHUNK));
    const at = offset % CHUNK;
    return {
      offset, topic: chunk.topic[at], size: chunk.size[at], id: chunk.id[at], seq: chunk.seq[at],
    };
  }

  /** The batch around an offset, as {first, items, id, seq}; null if it belongs to none. */
  batch(offset, most = CHUNK) {
    const item = this.at(offset);
    if (!item || item.id < 0) return null;
    const same = (other) => other && other.id === item.id && other.seq === item.seq;
    let first = offset, last = offset;
    while (last - first < most && same(this.at(first - 1))) first--;
    while (last - first < most && same(this.at(last + 1))) last++;
    return { first, items: last - first + 1, id: item.id, seq: item.seq };
  }

  /** The last offset in [from, to) that is not known; -1 if all are. */
  lastHole(from, to) {
    for (let at = Math.min(to, this.end), low = Math.max(from, this.base); at > low;) {
      const number = Math.floor((at - 1) / CHUNK);
      const start = Math.max(low, number * CHUNK);
      const chunk = this.chunks.get(number);
      if (!chunk) return at - 1;
      if (chunk.known < CHUNK) {
        for (let o = at - 1; o >= start; o--) if (chunk.topic[o % CHUNK] === UNKNOWN) return o;
      }
      at = start;
    }
    return -1;
  }
}

/** `runs` of a frame, [[count, id, sequence], ...], as two columns. */
export function expandRuns(runs, size) {
  const id = new Int16Array(size).fill(-1), seq = new Uint32Array(size);
  let at = 0;
  for (const [items, whose, sequence] of runs) {
    id.fill(whose, at, at + items);
    seq.fill(sequence, at, at + items);
    at += items;
  }
  return { id, seq };
}

/** The columns of a range's answer. Copied: a buffer may begin at an odd address. */
export function columns(buffers) {
  const take = (Type, part) => {
    const view = part instanceof ArrayBuffer ? new Uint8Array(part)
      : new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    return new Type(view.slice().buffer);
  };
  return [Uint16Array, Uint32Array, Int16Array, Uint32Array].map((T, i) => take(T, buffers[i]));
}

/**
 * What to ask for next: the newest hole in view, else the newest of all, and as much before it
 * as one answer holds. A hole's neighbours come along: few messages are worth more than few bytes.
 */
export function nextRange(items, from, to, most = CHUNK) {
  const seen = items.lastHole(from, to);
  const hole = seen >= 0 ? seen : items.lastHole(items.base, items.end);
  if (hole < 0) return null;
  let first = Math.max(items.base, hole - most + 1);
  while (items.has(first)) first++;
  return { first, count: hole + 1 - first };
}

// ---------------------------------------------------------------- geometry (pure)
//
//     place = {left, scale, follow}: the offset at the left edge, pixels per offset
//     space = {base, end, tail, width}: `tail` cells after the end are not durable yet

export const STUB = 92; // pixels of what is truncated, left of the base
const MOST_SCALE = 46, SCALE = 30, MARGIN = 14;

/** The stretch that one can pan over: from a stub of what is gone to the open edge. */
function limits(scale, { base, end, tail, width }) {
  const low = base > 0 ? base - STUB / scale : -MARGIN / scale;
  const high = Math.max(low, end + tail + 1 + MARGIN / scale - width / scale);
  return { low, high };
}

/** The scale at which everything fits. */
export function fitScale({ base, end, tail, width }) {
  const room = width - MARGIN - (base > 0 ? STUB : MARGIN);
  return Math.min(MOST_SCALE, Math.max(1, room) / Math.max(1, end + tail + 1 - base));
}

/** The place nearest to the wished one that shows something. */
export function settle(place, space) {
  const scale = clamp(place.scale, Math.min(SCALE, fitScale(space)), MOST_SCALE);
  const { low, high } = limits(scale, space);
  return { ...place, scale, left: place.follow ? high : clamp(place.left, low, high) };
}

/** Pan to `left`. Whoever goes to the very end follows it again. */
export function pan(place, space, left) {
  const { high } = limits(place.scale, space);
  return settle({ ...place, left, follow: left >= high - 0.5 / place.scale }, space);
}

/** Zoom by `factor`; the offset under `x` stays under it. */
export function zoom(place, space, factor, x) {
  const anchor = place.left + x / place.scale;
  const { scale } = settle({ ...place, scale: place.scale * factor }, space);
  return settle({ ...place, scale, left: anchor - x / scale }, space);
}

/** The offset under a pixel. */
export const offsetAt = (x, place) => Math.floor(place.left + x / place.scale);

/** The pixel where an offset's cell begins. */
export const xOf = (offset, place) => (offset - place.left) * place.scale;

/** The step of a ruler: 1, 2, 5, 10, ... so that labels of this width stay apart. */
export function rulerStep(scale, label) {
  for (let ten = 1; ; ten *= 10) {
    for (const digit of [1, 2, 5]) if (digit * ten * scale >= label) return digit * ten;
  }
}

export const KINDS = 16; // topics told apart per column of pixels; the last kind: not fetched
const SAMPLES = 256; // of a column's items, at most

/** How many items of each kind lie in each column of pixels: out[column * KINDS + kind]. */
export function bin(items, place, width, out = new Uint16Array(width * KINDS)) {
  out.fill(0);
  for (let column = 0; column < width; column++) {
    const from = Math.max(items.base, Math.floor(place.left + column / place.scale));
    const to = Math.min(items.end, Math.floor(place.left + (column + 1) / place.scale));
    const step = Math.max(1, Math.floor((to - from) / SAMPLES));
    let number = -1, chunk;
    for (let offset = from; offset < to; offset += step) {
      const of = Math.floor(offset / CHUNK);
      if (of !== number) chunk = items.chunks.get((number = of));
      const topic = chunk ? chunk.topic[offset - of * CHUNK] : UNKNOWN;
      out[column * KINDS + (topic === UNKNOWN ? KINDS - 1 : Math.min(topic, KINDS - 2))]++;
    }
  }
  return out;
}

/** What is drawn after the end: waiting batches' items, then what this kernel has not sent. */
export function tail(waiting, unsent, most = 200) {
  const cells = waiting.flatMap(([id, seq, topics]) =>
    topics.map((topic) => ({ kind: "waiting", id, seq, topic })));
  const mine = Array.from({ length: Math.min(unsent, 12) }, () => ({ kind: "unsent", topic: -1 }));
  return [...cells.slice(0, most), ...mine];
}

/**
 * Ghosts' places below the tape: [{ghost, x, width, lane, also}], beside the copies that won.
 * Two lanes; where both are full a ghost is counted in its neighbour's `also`.
 */
export function placeGhosts(ghosts, place, width) {
  const least = place.scale >= 6 ? 38 : 11;
  const free = [-Infinity, -Infinity], placed = [], last = [null, null];
  for (const ghost of [...ghosts].sort((a, b) => a.first - b.first)) {
    const x = xOf(ghost.first, place);
    const wide = Math.max(least, ghost.items * place.scale - 4);
    if (x + wide < 0 || x > width) continue;
    const lane = free.findIndex((at) => x >= at);
    if (lane < 0) { last[1].also += ghost.copies; continue; }
    placed.push((last[lane] = { ghost, x, width: wide, lane, also: 0 }));
    free[lane] = x + wide + 3;
  }
  return placed;
}

// ---------------------------------------------------------------- facts (pure)

/** Where a reader stands: what it still can read, and how much is gone before it came. */
export function standing(position, base, end) {
  return { lag: Math.max(0, end - Math.max(position, base)), below: Math.max(0, base - position) };
}

/** Who would miss how much if everything below `upTo` went. */
export function stranded(readers, upTo) {
  return readers.filter(([, , , position, , , state]) => state === "open" && position < upTo)
    .map(([key, name, , position]) => ({ key, name, misses: upTo - position }));
}

/** Milliseconds until `limit` is used up, by the growth of the last 30 s; null if it grows not. */
export function pace(samples, limit, now) {
  const seen = samples.filter((sample) => now - sample.at <= 30_000);
  if (seen.length < 2) return null;
  const first = seen[0], last = seen[seen.length - 1], time = now - first.at;
  const grown = last.used - first.used;
  return grown > 0 && time >= 2000 ? ((limit - last.used) * time) / grown : null;
}

/** What the whole view is: the worst thing that is true of it. */
export function stateOf(frame, silence, loop, broken) {
  if (broken || silence > 3000) return "gone";
  if (loop > 3) return "busy";
  if (!frame.stream) return frame.trouble ? "stale" : "empty";
  if (frame.trouble) return "stale";
  return frame.stream.status === "RUNNING" ? "live" : "closed";
}

/**
 * Remember the duplicates that were dropped: key -> {key, id, seq, first, items, copies, born}.
 * A frame tells the last batches only; a ghost stays as long as the copy that won is on the tape.
 */
export function collectGhosts(known, batches, base, now) {
  const told = new Map();
  for (const [id, seq, verdict, first, items] of batches) {
    if (verdict !== "duplicate" || first === null) continue;
    const key = `${id}:${seq}`;
    const before = told.get(key);
    told.set(key, { key, id, seq, first, items, copies: (before?.copies ?? 0) + 1, born: now });
  }
  const ghosts = new Map();
  for (const [key, ghost] of known) if (ghost.first + ghost.items > base) ghosts.set(key, ghost);
  for (const [key, ghost] of told) {
    const before = ghosts.get(key);
    if (ghost.first + ghost.items <= base) continue;
    if (!before || before.copies < ghost.copies) ghosts.set(key, ghost);
  }
  while (ghosts.size > 2000) ghosts.delete(ghosts.keys().next().value);
  return ghosts;
}

/** Black or white, whichever is the better to read on a colour "#rrggbb". */
export function inkOn(color) {
  const part = (at) => {
    const c = parseInt(color.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  };
  const light = 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5);
  return light > 0.18 ? "#000000" : "#ffffff";
}

// ---------------------------------------------------------------- the page: small helpers

// Okabe and Ito's colours, which colour-blind eyes tell apart. Letters tell the topics anyway.
const PALETTE = ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#0072b2", "#f0e442"];
const colorOf = (topic) => PALETTE[topic % PALETTE.length];

const MARKS = { accepted: "●", duplicate: "✕", refused: "!" };
const STATUS = { empty: "not seen yet", live: "live", busy: "a cell is busy", gone: "kernel gone" };
const BY_NOBODY = "the workflow itself, or its batch is forgotten";
const SILENCE = "The kernel is gone: this is the last picture. Run the cell again.";

function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else attr(node, key === "cls" ? "class" : key, value);
  }
  node.append(...children);
  return node;
}

/** Set an attribute, or remove it (false, null); the page is touched only if it changes. */
function attr(node, name, value) {
  if (value === false || value === null || value === undefined) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Make `parent`'s children match `list`, reused by key: focus and a half-done click survive. */
function keyed(parent, list, keyOf, make, update) {
  const before = parent.kept ?? new Map(), now = new Map();
  list.forEach((each, i) => now.set(keyOf(each, i), before.get(keyOf(each, i)) ?? make(each)));
  for (const [key, node] of before) if (!now.has(key)) node.remove();
  [...now.values()].forEach((node, i) => {
    if (parent.children[i] !== node) parent.insertBefore(node, parent.children[i] ?? null);
    update(node, list[i], i);
  });
  parent.kept = now;
}

const button = (text, onclick, props = {}) =>
  h("button", { type: "button", cls: "sv-btn", onclick, ...props }, text);

/** A button, or a field, that only works while a kernel answers: see `View.enable`. */
const kernelButton = (text, onclick, props = {}) =>
  button(text, onclick, { "data-kernel": "", ...props });

const field = (label, control) => h("label", { cls: "sv-field" }, h("span", {}, label), control);
const numberField = (props = {}) => h("input", { type: "number", min: 0, step: 1, ...props });
const select = (label, choices) => h("select", { "aria-label": label },
  ...choices.map(([value, text]) => h("option", { value }, text)));
const whole = (input, otherwise = 0) => {
  const n = Math.floor(Number(input.value));
  return input.value !== "" && Number.isFinite(n) && n >= 0 ? n : otherwise;
};

function section(name, title, label, ...children) {
  const note = h("span", { cls: "sv-note" });
  const bar = h("div", { cls: "sv-bar" }, h("h3", {}, title), note);
  const node = h("section", { cls: `sv-panel sv-${name}`, "data-panel": name, "aria-label": label },
    bar, ...children);
  return { node, bar, note };
}

/** The line where a panel's answers appear. */
function sayLine() {
  const node = h("p", { cls: "sv-say", role: "status", hidden: true });
  const say = (text, kind) => {
    attr(node, "role", kind === "error" ? "alert" : "status");
    attr(node, "data-kind", kind);
    node.hidden = !text;
    put(node, text);
  };
  return { node, say };
}

/** A topic's badge: its letter on its colour. */
function badge(letter, topic, name) {
  const node = h("span", { cls: "sv-badge", title: name }, letter);
  node.style.background = colorOf(topic);
  node.style.color = inkOn(colorOf(topic));
  return node;
}

function fitCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const w = Math.round(width * ratio), t = Math.round(height * ratio);
  if (canvas.width !== w || canvas.height !== t) {
    canvas.width = w;
    canvas.height = t;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  return ctx;
}

/** The theme's colours, as a canvas needs them. */
function readInk(root) {
  const style = getComputedStyle(root);
  const of = (name) => style.getPropertyValue(`--sv-${name}`).trim();
  const names = ["ink", "soft", "faint", "line", "card", "accent", "bad", "edge"];
  return {
    ...Object.fromEntries(names.map((name) => [name, of(name)])),
    pens: [0, 1, 2, 3, 4, 5].map((n) => of(`pen${n}`)),
    font: style.fontFamily,
    code: of("code"),
  };
}

function hatch(ctx, x, y, width, height, color, step = 6) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, width, height);
  ctx.clip();
  ctx.beginPath();
  const start = Math.floor((x - height) / step) * step;
  for (let at = start; at < x + width; at += step) {
    ctx.moveTo(at, y + height);
    ctx.lineTo(at + height, y);
  }
  ctx.strokeStyle = color;
  ctx.lineWidth = 1;
  ctx.stroke();
  ctx.restore();
}

function box(ctx, x, y, width, height, radius) {
  ctx.beginPath();
  ctx.roundRect(x, y, Math.max(0, width), height, radius);
}

// ---------------------------------------------------------------- the tape, drawn
//
//      run 2 |                       seams
//      0     5    10                 ruler
//            v ann                   readers, at the edge of what they read next
//     /// [A][B][A][A] [B]: :        cells: truncated, durable, waiting
//         |_____||____|              batches
//            x #3                    ghosts: duplicates that were dropped

export function rowsOf(seams) {
  const top = seams ? 16 : 0;
  return {
    ruler: top + 11, reader: top + 20, cell: top + 38, tall: 34, batch: top + 76, ghost: top + 97,
    lane: 20, height: top + 138,
  };
}

/** What is at a pixel: {kind: "item" | "batch" | "ghost" | "tail" | "gone" | "none", ...}. */
export function hit(x, y, { rows, place, items, placed, tails }) {
  const offset = offsetAt(x, place);
  if (y >= rows.ghost) {
    const found = placed.find((each) => x >= each.x && x <= each.x + each.width
      && y >= rows.ghost + each.lane * rows.lane && y < rows.ghost + (each.lane + 1) * rows.lane);
    return found ? { kind: "ghost", ghost: found.ghost } : { kind: "none" };
  }
  if (offset < items.base) return { kind: items.base > 0 && offset >= 0 ? "gone" : "none" };
  if (offset >= items.end) {
    const cell = tails[offset - items.end];
    return cell ? { kind: "tail", cell, offset } : { kind: "none" };
  }
  if (y >= rows.batch - 3) {
    const batch = items.batch(offset);
    if (batch) return { kind: "batch", ...batch };
  }
  return { kind: "item", offset };
}

function paintTape(p) {
  paintGone(p);
  paintStrip(p, p.rows.cell, p.rows.tall);
  paintTail(p);
  paintPreview(p);
  paintSeams(p);
  paintBatches(p);
  paintRuler(p);
  paintReaders(p);
  paintSelection(p);
  return paintGhosts(p);
}

function text(p, words, x, y, color, { size = 10.5, weight = 400, align = "left", code } = {}) {
  p.ctx.font = `${weight} ${size}px ${code ? p.ink.code : p.ink.font}`;
  p.ctx.textAlign = align;
  p.ctx.textBaseline = "middle";
  p.ctx.fillStyle = color;
  p.ctx.fillText(words, x, y);
  return p.ctx.measureText(words).width;
}

function paintGone(p) {
  const { ctx, ink, v, rows } = p, { base } = v.items, end = p.x(base);
  if (!base || end <= 0) return;
  const left = Math.max(-10, end - STUB + 8);
  ctx.save();
  box(ctx, left, rows.cell, end - 4 - left, rows.tall, [6, 2, 2, 6]);
  ctx.clip();
  ctx.fillStyle = ink.faint;
  ctx.fillRect(left, rows.cell, end - left, rows.tall);
  hatch(ctx, left, rows.cell, end - left, rows.tall, ink.soft, 7);
  ctx.restore();
  text(p, offsets(0, base), end - 8, rows.batch + 5, ink.soft, { align: "right", code: true });
  text(p, "truncated", end - 8, rows.batch + 18, ink.soft, { align: "right" });
}

/** The durable items: cells if there is room, else shares of topics per column of pixels. */
function paintStrip(p, y, tall) {
  if (p.place.scale < 1) paintBins(p, y, tall);
  else paintCells(p, y, tall);
}

function paintCells(p, y, tall) {
  const { ctx, ink, v, place, width } = p, { items } = v, { scale } = place;
  const gap = scale >= 12 ? 3 : scale >= 4 ? 1 : 0;
  const radius = scale >= 10 ? Math.min(6, scale / 5) : 0;
  const to = Math.min(items.end, Math.ceil(place.left + width / scale));
  for (let offset = Math.max(items.base, Math.floor(place.left)); offset < to; offset++) {
    const item = items.at(offset), x = p.x(offset) + gap / 2, wide = scale - gap;
    if (!item) {
      paintUnknown(p, x, y, wide, tall, radius);
      continue;
    }
    ctx.globalAlpha = v.hidden.has(item.topic) ? 0.13 : 1;
    ctx.fillStyle = colorOf(item.topic);
    if (!radius) {
      ctx.fillRect(x, y, wide, tall);
      continue;
    }
    box(ctx, x, y, wide, tall, radius);
    ctx.fill();
    ctx.strokeStyle = ink.edge;
    ctx.lineWidth = 1;
    box(ctx, x + 0.5, y + 0.5, wide - 1, tall - 1, radius - 0.5);
    ctx.stroke();
    if (scale >= 14 && tall > 20) {
      text(p, v.letters[item.topic] ?? "?", x + wide / 2, y + tall / 2 + 0.5,
        inkOn(colorOf(item.topic)), { size: Math.min(13, scale * 0.5), weight: 600, align: "center" });
    }
  }
  ctx.globalAlpha = 1;
}

/** A durable offset whose topic the browser does not know (yet). */
function paintUnknown({ ctx, ink, v }, x, y, wide, tall, radius) {
  ctx.fillStyle = ink.faint;
  box(ctx, x, y, wide, tall, radius);
  ctx.fill();
  if (v.frame.stream?.describes === false) {
    ctx.strokeStyle = ink.line;
    ctx.stroke();
    return;
  }
  ctx.fillStyle = ink.soft;
  ctx.globalAlpha = 0.55;
  for (let at = 6; at < tall - 3; at += 7) ctx.fillRect(x + wide / 2 - 0.75, y + at, 1.5, 1.5);
  ctx.globalAlpha = 1;
}

function paintBins(p, y, tall) {
  const { ctx, ink, v, place } = p, width = Math.ceil(p.width);
  if (v.bins.length !== width * KINDS) v.bins = new Uint16Array(width * KINDS);
  const bins = bin(v.items, place, width, v.bins);
  const all = new Uint32Array(width), used = new Float32Array(width);
  for (let at = 0; at < bins.length; at++) all[(at / KINDS) | 0] += bins[at];
  for (let kind = 0; kind < KINDS; kind++) {
    const unknown = kind === KINDS - 1;
    ctx.fillStyle = unknown ? ink.faint : colorOf(kind);
    ctx.globalAlpha = v.hidden.has(kind) ? 0.13 : 1;
    for (let column = 0; column < width; column++) {
      const n = bins[column * KINDS + kind];
      if (!n) continue;
      const high = (n / all[column]) * tall;
      ctx.fillRect(column, y + used[column], 1, high);
      used[column] += high;
    }
  }
  ctx.globalAlpha = 1;
  ctx.fillStyle = ink.soft; // dots: not fetched
  for (let column = 0; column < width; column += 4) {
    if (!bins[column * KINDS + KINDS - 1]) continue;
    for (let at = 5; at < tall - 2; at += 7) ctx.fillRect(column, y + at, 1, 1);
  }
}

/** What is not durable yet, and the open edge where the next item goes. */
function paintTail(p) {
  const { ctx, ink, v, rows, place } = p, { scale } = place, { end } = v.items;
  const gap = scale >= 12 ? 3 : 1, radius = Math.min(6, scale / 5);
  v.tails.forEach((cell, i) => {
    const x = p.x(end + i) + gap / 2;
    if (x > p.width || scale < 3) return;
    const waits = cell.kind === "waiting", color = waits ? colorOf(cell.topic) : ink.soft;
    ctx.globalAlpha = waits ? 0.16 : 0.08;
    ctx.fillStyle = color;
    box(ctx, x, rows.cell, scale - gap, rows.tall, radius);
    ctx.fill();
    ctx.globalAlpha = waits ? 1 : 0.6;
    ctx.strokeStyle = color;
    ctx.lineWidth = 1.5;
    ctx.setLineDash(waits ? [4, 3] : [2, 4]);
    box(ctx, x + 0.75, rows.cell + 0.75, scale - gap - 1.5, rows.tall - 1.5, radius);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.globalAlpha = 1;
    if (waits && scale >= 14) {
      text(p, v.letters[cell.topic] ?? "?", x + (scale - gap) / 2, rows.cell + rows.tall / 2 + 0.5,
        ink.ink, { size: Math.min(13, scale * 0.5), weight: 600, align: "center" });
    }
  });
  const x = p.x(end + v.tails.length);
  if (x > p.width) return;
  if (v.state === "closed") {
    ctx.fillStyle = ink.ink;
    ctx.fillRect(x + 2, rows.cell, 2, rows.tall);
    ctx.fillRect(x + 6, rows.cell, 4, rows.tall);
    return;
  }
  const wide = Math.max(10, scale - gap), fade = ctx.createLinearGradient(x, 0, x + wide, 0);
  fade.addColorStop(0, ink.accent);
  fade.addColorStop(1, "rgba(128,128,128,0)");
  ctx.strokeStyle = fade;
  ctx.lineWidth = 1.5;
  ctx.beginPath();
  ctx.moveTo(x + wide, rows.cell + 0.75);
  ctx.arcTo(x + 1.5, rows.cell + 0.75, x + 1.5, rows.cell + 9, radius || 3);
  ctx.arcTo(x + 1.5, rows.cell + rows.tall - 0.75, x + 9, rows.cell + rows.tall - 0.75, radius || 3);
  ctx.lineTo(x + wide, rows.cell + rows.tall - 0.75);
  ctx.stroke();
}

function paintPreview(p) {
  const { ctx, ink, v, rows } = p, upTo = v.preview;
  if (upTo === null || upTo <= v.items.base) return;
  const from = Math.max(-2, p.x(v.items.base)), to = Math.min(p.width + 2, p.x(upTo));
  if (to <= from) return;
  ctx.fillStyle = ink.card;
  ctx.globalAlpha = 0.55;
  ctx.fillRect(from, rows.cell - 3, to - from, rows.tall + 6);
  ctx.globalAlpha = 0.1;
  ctx.fillStyle = ink.bad;
  ctx.fillRect(from, rows.cell - 3, to - from, rows.tall + 6);
  ctx.globalAlpha = 1;
  hatch(ctx, from, rows.cell - 3, to - from, rows.tall + 6, ink.bad);
  ctx.fillStyle = ink.bad;
  ctx.fillRect(p.x(upTo) - 1.5, rows.cell - 7, 2, rows.tall + 14);
}

function paintSeams(p) {
  const { ctx, ink, v, rows } = p;
  let free = -Infinity;
  (v.frame.stream?.seams ?? []).forEach((offset, i) => {
    const x = p.x(offset);
    if (x < -60 || x > p.width + 2) return;
    ctx.fillStyle = ink.accent;
    ctx.fillRect(x - 1, 4, 1.5, rows.batch + 8);
    if (x < free) return;
    free = x + 8 + text(p, `run ${i + 2}`, x + 5, 7, ink.accent, { weight: 600 });
  });
}

/** Brackets under the items of a batch, with its publisher and sequence. */
function paintBatches(p) {
  const { v, place, width } = p, { items } = v;
  if (place.scale < 6) return;
  const from = Math.max(items.base, Math.floor(place.left));
  const to = Math.min(items.end, Math.ceil(place.left + width / place.scale));
  const same = (a, b) => a && b && a.id === b.id && a.seq === b.seq;
  for (let offset = from, next; offset < to; offset = next) {
    const item = items.at(offset);
    for (next = offset + 1; next < to && same(item, items.at(next)); next++);
    if (!item || item.id < 0) continue;
    const open = [same(item, items.at(offset - 1)), same(item, items.at(next))];
    paintBracket(p, item, p.x(offset), p.x(next), open);
  }
  v.tails.forEach((cell, i) => {
    if (cell.kind !== "waiting" || same(v.tails[i - 1], cell)) return;
    let last = i;
    while (same(v.tails[last + 1], cell)) last++;
    paintBracket(p, cell, p.x(items.end + i), p.x(items.end + last + 1), [false, false], true);
  });
}

function paintBracket(p, { id, seq }, from, to, [before, after], dashed) {
  const { ctx, ink, v, rows } = p, y = rows.batch, color = ink.pens[id % ink.pens.length];
  const left = from + 3.5, right = to - 3.5, chosen = v.chosen?.id === id && v.chosen?.seq === seq;
  ctx.strokeStyle = color;
  ctx.lineWidth = chosen ? 2.5 : 1.25;
  ctx.setLineDash(dashed ? [3, 3] : []);
  ctx.beginPath();
  if (!before) ctx.moveTo(left, y);
  ctx.lineTo(before ? from : left, y + 4);
  ctx.lineTo(after ? to : right, y + 4);
  if (!after) ctx.lineTo(right, y);
  ctx.stroke();
  ctx.setLineDash([]);
  const middle = (Math.max(0, from) + Math.min(p.width, to)) / 2, room = to - from;
  const words = [`${short(v.ids[id] ?? "", 6)} #${seq}`, `#${seq}`]
    .find((each) => each.length * 6.1 + 4 < room);
  if (words) {
    text(p, words, middle, y + 12, color, { align: "center", code: true, size: 10, weight: chosen ? 700 : 400 });
  }
}

function paintRuler(p) {
  const { ctx, ink, v, rows, place } = p, { scale } = place, { base, end } = v.items;
  const closed = v.state === "closed";
  const label = String(end).length * 6.6 + 14, step = rulerStep(scale, label);
  const from = Math.max(base, Math.floor(place.left)), to = place.left + p.width / scale;
  const centre = Math.min(scale, MOST_SCALE) / 2;
  for (let offset = Math.ceil(from / step) * step; offset < Math.min(end, to); offset += step) {
    const x = p.x(offset) + centre;
    if (Math.abs(x - p.x(end) - centre) < label) continue;
    text(p, count(offset), x, rows.ruler, offset === v.selected ? ink.ink : ink.soft,
      { align: "center", code: true, weight: offset === v.selected ? 700 : 400 });
    if (step > 1) {
      ctx.fillStyle = ink.line;
      ctx.fillRect(x - 0.5, rows.ruler + 8, 1, 4);
    }
  }
  const x = p.x(end) + (v.tails.length || scale < 8 ? 0 : centre);
  text(p, count(end), clamp(x, 0, p.width - 2), rows.ruler, closed ? ink.ink : ink.accent,
    { align: x > p.width - 30 ? "right" : "center", code: true, weight: 700 });
}

/** A triangle where each reader stands: at the edge of the item that it reads next. */
function paintReaders(p) {
  const { ctx, ink, v, rows } = p, { base } = v.items, at = new Map();
  for (const [, name, , position, , , state] of v.frame.readers ?? []) {
    if (state !== "open") continue;
    const key = Math.max(position, base - 1);
    if (!at.has(key)) at.set(key, []);
    at.get(key).push(position < base ? `${short(name, 12)}, ${base - position} below` : short(name, 14));
  }
  let free = -Infinity;
  for (const [position, names] of [...at].sort((a, b) => a[0] - b[0])) {
    const below = position < base, x = below ? p.x(base) - STUB / 2 : p.x(position);
    if (x < -4 || x > p.width + 4) continue;
    ctx.fillStyle = below ? ink.bad : ink.ink;
    ctx.beginPath();
    ctx.moveTo(x - 5, rows.reader + 4);
    ctx.lineTo(x + 5, rows.reader + 4);
    ctx.lineTo(x, rows.reader + 13);
    ctx.fill();
    const more = names.length > 2 ? ` +${names.length - 2}` : "";
    const words = names.slice(0, 2).join(", ") + more;
    ctx.font = `600 10.5px ${ink.font}`;
    const wide = ctx.measureText(words).width;
    const left = below ? x - wide / 2 - 8 : x + 8 + wide > p.width ? x - wide - 16 : x;
    if (left + 8 < free) continue;
    text(p, words, left + 8, rows.reader + 8, below ? ink.bad : ink.ink, { weight: 600 });
    free = left + wide + 22;
  }
}

function paintSelection(p) {
  const { ctx, ink, v, rows, place } = p, { scale } = place;
  const ring = (first, size, color, thick) => {
    const x = p.x(first), wide = Math.max(2, size * scale);
    if (x > p.width || x + wide < 0) return;
    ctx.strokeStyle = color;
    ctx.lineWidth = thick;
    box(ctx, x, rows.cell - 2, wide, rows.tall + 4, scale >= 10 ? 7 : 2);
    ctx.stroke();
  };
  if (v.chosen?.first >= v.items.base) ring(v.chosen.first, v.chosen.items, ink.accent, 2);
  if (v.selected !== null && v.selected >= v.items.base) ring(v.selected, 1, ink.ink, 2);
  else if (v.hover?.kind === "item") ring(v.hover.offset, 1, ink.soft, 1);
}

const FALL = 700; // ms

/** Duplicates that were dropped, below the copies that won. Returns whether one still falls. */
function paintGhosts(p) {
  const { ctx, ink, v, rows } = p;
  let falling = false;
  v.placed = placeGhosts(v.ghosts.values(), p.place, p.width);
  for (const { ghost, x, width, lane, also } of v.placed) {
    const t = v.still ? 1 : clamp((p.now - ghost.born) / FALL, 0, 1);
    falling ||= t < 1;
    const ease = 1 - (1 - t) ** 3, y = rows.ghost + lane * rows.lane;
    const top = rows.cell + (y - rows.cell) * ease, wide = width - 1, copies = ghost.copies + also;
    ctx.globalAlpha = 0.25 + 0.75 * ease;
    ctx.strokeStyle = ctx.fillStyle = ink.bad;
    ctx.lineWidth = v.chosen?.ghost === ghost.key ? 2 : 1;
    ctx.setLineDash([3, 2.5]);
    if (wide < 30) {
      text(p, "✕", x + wide / 2, top + 8, ink.bad, { align: "center", weight: 700 });
      ctx.setLineDash([]);
      continue;
    }
    box(ctx, x + 2.5, top + 0.5, wide - 4, 16, 5);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.globalAlpha *= 0.1;
    ctx.fill();
    ctx.globalAlpha = 0.25 + 0.75 * ease;
    const words = `✕ #${ghost.seq}${copies > 1 ? ` ×${copies}` : ""}`;
    ctx.save();
    ctx.clip();
    text(p, words, x + wide / 2, top + 9, ink.bad, { align: "center", weight: 600, size: 10 });
    ctx.restore();
  }
  ctx.globalAlpha = 1;
  return falling;
}

/** The whole stream in one strip: what is gone, what is held, and the window that the tape shows. */
function paintOverview(p, place) {
  const { ctx, ink, v } = p, { base, end } = v.items, tall = 16, y = 4;
  ctx.save();
  box(ctx, 0, y, p.width, tall, 4);
  ctx.clip();
  ctx.fillStyle = ink.faint;
  ctx.fillRect(0, y, p.width, tall);
  if (base) hatch(ctx, 0, y, p.x(base), tall, ink.soft, 5);
  ctx.globalAlpha = 0.8;
  paintStrip(p, y, tall);
  if (v.preview !== null) hatch(ctx, p.x(base), y, p.x(v.preview) - p.x(base), tall, ink.bad, 5);
  ctx.restore();
  ctx.fillStyle = ink.accent;
  for (const seam of v.frame.stream?.seams ?? []) ctx.fillRect(p.x(seam) - 0.75, 1, 1.5, tall + 6);
  ctx.fillStyle = ink.bad;
  for (const ghost of v.ghosts.values()) ctx.fillRect(p.x(ghost.first), y + tall + 1, 2, 3);
  const x = Math.max(1, p.x(Math.max(0, place.left)));
  const right = Math.min(p.width - 1, p.x(place.left + v.width / place.scale));
  ctx.strokeStyle = ink.ink;
  ctx.lineWidth = 1.5;
  box(ctx, x, 2, Math.max(6, right - x), tall + 4, 5);
  ctx.stroke();
}

// ---------------------------------------------------------------- panels: {node, update, tick}
//
// `update` runs in an animation frame after something changed, `tick` once a second for ages.

function headPanel(v) {
  const name = h("span", { cls: "sv-name" }), pill = h("span", { cls: "sv-pill" });
  const link = h("a", { cls: "sv-link", target: "_blank", rel: "noopener noreferrer" }, "Temporal UI ↗");
  const stats = h("dl", { cls: "sv-stats" });
  const banner = h("p", { cls: "sv-banner", hidden: true });
  const node = h("div", {},
    h("header", { cls: "sv-head" }, h("div", { cls: "sv-title" }, name, pill, link), stats), banner);

  const words = (age) => {
    const { stream } = v.frame;
    if (v.state === "closed") return `closed ${stream.status}`;
    return v.state === "stale" ? (v.frame.at ? `no answer for ${age}` : "no answer") : STATUS[v.state];
  };
  const why = (age) => {
    if (v.state === "gone") return SILENCE;
    if (v.state === "busy") return "A cell keeps the kernel busy: the numbers wait until it is done.";
    if (v.state === "stale") {
      const waits = v.waits();
      const stored = waits ? ` ${plural(waits, "batch", "batches")} wait in the run's history.` : "";
      return `${v.frame.trouble}. ${v.frame.at ? `This picture is ${age} old.` : ""}${stored}`;
    }
    if (v.frame.stream?.describes === false) {
      return "This host does not describe itself: only its end offset is known.";
    }
    return "";
  };
  const tick = () => {
    const age = span(v.age(v.frame.at));
    put(pill, words(age));
    attr(pill, "data-state", v.state);
    put(banner, why(age));
    attr(banner, "data-state", v.state);
    banner.hidden = !banner.textContent;
  };
  const stat = ([label, value]) => [h("dt", {}, label), h("dd", {}, value)];
  const update = () => {
    const stream = v.frame.stream, { base, end } = v.items;
    put(name, stream ? short(stream.workflow_id, 60) : "No stream yet");
    attr(name, "title", stream ? `workflow ${stream.workflow_id}\nrun ${stream.run_id}` : null);
    const ui = /^https?:/.test(v.frame.ui ?? "") ? v.frame.ui : null;
    attr(link, "href", ui);
    link.hidden = !ui;
    const known = stream && stream.describes;
    stats.replaceChildren(...(stream ? [
      ["base", known ? count(base) : "–"], ["end", count(end)],
      ["items", known ? count(end - base) : "–"], ["size", known ? bytes(stream.bytes) : "–"],
    ].map((pair) => h("div", {}, ...stat(pair))) : []));
    tick();
  };
  return { node, update, tick };
}

function tapePanel(v) {
  const canvas = h("canvas", { "aria-hidden": "true" }), over = h("canvas", { "aria-hidden": "true" });
  const tip = h("div", { cls: "sv-tip", hidden: true });
  const track = h("div", {
    cls: "sv-track", tabindex: 0, role: "slider", "aria-label": "Tape: one cell per offset",
    "aria-orientation": "horizontal",
  }, canvas, tip);
  const strip = h("div", { cls: "sv-strip", title: "The whole stream: drag to move the window" }, over);
  const chips = h("div", { cls: "sv-chips", role: "group", "aria-label": "Topics shown" });
  const follow = button("Follow", () => v.move(settle({ ...v.place, follow: !v.place.follow }, v.space())),
    { "aria-pressed": "true", title: "Keep the end in view" });
  const goto = numberField({ cls: "sv-goto", placeholder: "offset", "aria-label": "Go to offset" });
  goto.addEventListener("change", () => goto.value !== "" && v.show(whole(goto)));
  const zoomBy = (factor) => () => v.move(zoom(v.place, v.space(), factor, v.width / 2));
  const asTable = button("Table", () => { v.table = !v.table; v.refresh(); },
    { "aria-pressed": "false", title: "The same as a table" });
  const tools = h("div", { cls: "sv-tools", role: "group", "aria-label": "Tape tools" },
    button("−", zoomBy(1 / 1.6), { "aria-label": "Zoom out" }),
    button("+", zoomBy(1.6), { "aria-label": "Zoom in" }),
    button("Fit", () => v.move(settle({ left: 0, scale: 0, follow: true }, v.space())),
      { title: "Show the whole stream" }),
    follow, goto, asTable);
  const rows = h("tbody"), table = h("table", { cls: "sv-table", "aria-label": "Items" },
    h("thead", {}, h("tr", {}, ...["offset", "topic", "size", "publisher", "sequence"]
      .map((each) => h("th", { scope: "col" }, each)))), rows);
  const scroller = h("div", { cls: "sv-scroll", tabindex: 0, role: "region", "aria-label": "Items as a table" }, table);
  const card = detailCard(v);
  const { node, bar } = section("tape", "Tape", "Tape", track, strip, card.node, scroller);
  bar.append(chips, tools);
  listenTape(v, track, strip, tip);

  const chip = (topic, i) => button("", () => {
    v.hidden.has(i) ? v.hidden.delete(i) : v.hidden.add(i);
    v.refresh();
  }, { cls: "sv-chip", "data-topic": topic });
  const update = () => {
    keyed(chips, v.topics.slice(0, 12), (topic, i) => i, (topic) => chip(topic, v.topics.indexOf(topic)),
      (node, topic, i) => {
        attr(node, "aria-pressed", String(!v.hidden.has(i)));
        attr(node, "title", topic);
        if (node.letter === v.letters[i]) return;
        node.letter = v.letters[i];
        node.replaceChildren(badge(v.letters[i], i, topic), short(topic, 18));
      });
    attr(follow, "aria-pressed", String(v.place.follow));
    attr(asTable, "aria-pressed", String(v.table));
    attr(goto, "max", Math.max(0, v.items.end - 1));
    scroller.hidden = !v.table;
    if (v.table) fillTable();
    card.update();
  };
  const fillTable = () => {
    const { base, end } = v.items, at = v.selected ?? end;
    const first = Math.max(base, Math.min(at - 25, end - 50));
    const list = Array.from({ length: Math.max(0, Math.min(50, end - first)) }, (_, i) => first + i);
    keyed(rows, list, (offset) => offset,
      () => h("tr", {}, ...[0, 1, 2, 3, 4].map((i) => h(i ? "td" : "th", i ? {} : { scope: "row" }))),
      (row, offset) => {
        const item = v.items.at(offset), [a, b, c, d, e] = row.children;
        attr(row, "data-offset", offset);
        attr(row, "aria-selected", null);
        attr(row, "data-selected", offset === v.selected);
        put(a, count(offset));
        put(b, item ? short(v.topics[item.topic] ?? "?", 40) : "not fetched yet");
        put(c, item ? bytes(item.size) : "");
        put(d, item ? (item.id < 0 ? "–" : short(v.ids[item.id] ?? "?", 16)) : "");
        put(e, item && item.id >= 0 ? count(item.seq) : "");
      });
  };
  const paint = (now) => {
    v.width = track.clientWidth || v.width;
    const rows = (v.rows = rowsOf((v.frame.stream?.seams ?? []).length));
    v.place = settle(v.place, v.space());
    const of = (ctx, place) => ({
      v, ctx, place, rows, now, width: v.width, ink: v.ink, x: (offset) => xOf(offset, place),
    });
    const falling = paintTape(of(fitCanvas(canvas, v.width, rows.height), v.place));
    const whole = { left: 0, scale: (v.width - 1) / Math.max(v.items.end, 40) };
    paintOverview(of(fitCanvas(over, v.width, 26), whole), v.place);
    describe();
    return falling;
  };
  /** What a screen reader, and a test, learns of the picture. */
  const describe = () => {
    const { base, end } = v.items, last = Math.max(base, end - 1), at = v.selected ?? last;
    attr(track, "aria-valuemin", base);
    attr(track, "aria-valuemax", last);
    attr(track, "aria-valuenow", clamp(at, base, last));
    attr(track, "aria-valuetext", end > base ? v.sayItem(clamp(at, base, last)) : "no items");
    attr(track, "data-first", Math.max(base, Math.ceil(v.place.left)));
    attr(track, "data-last", Math.min(last, offsetAt(v.width, v.place)));
    attr(track, "data-scale", v.place.scale.toPrecision(4));
    attr(track, "data-ghosts", v.ghosts.size);
    attr(track, "data-waiting", v.tails.filter((cell) => cell.kind === "waiting").length);
    attr(track, "data-unsent", v.frame.unsent ?? 0);
  };
  return { node, update, paint, track };
}

/** Mouse, wheel and keys on the tape and on the strip below it. */
function listenTape(v, track, strip, tip) {
  let drag = null;
  const at = (event) => event.clientX - track.getBoundingClientRect().left;
  const find = (event) => v.find(at(event), event.clientY - track.getBoundingClientRect().top);
  track.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    drag = { x: at(event), left: v.place.left, moved: false };
    track.setPointerCapture(event.pointerId);
  });
  track.addEventListener("pointermove", (event) => {
    if (drag && (drag.moved ||= Math.abs(at(event) - drag.x) > 4)) {
      tip.hidden = true;
      v.move(pan(v.place, v.space(), drag.left - (at(event) - drag.x) / v.place.scale));
    } else if (!drag) {
      showTip(v, tip, find(event), at(event));
    }
  });
  track.addEventListener("pointerup", (event) => {
    const clicked = drag && !drag.moved;
    drag = null;
    if (clicked) v.choose(find(event));
  });
  track.addEventListener("pointercancel", () => { drag = null; });
  track.addEventListener("pointerleave", () => { tip.hidden = true; v.hover = null; v.touch(); });
  track.addEventListener("wheel", (event) => {
    const across = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      v.move(zoom(v.place, v.space(), Math.exp(-clamp(event.deltaY, -60, 60) / 90), at(event)));
    } else if (Math.abs(across) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
      event.preventDefault();
      v.move(pan(v.place, v.space(), v.place.left + across / v.place.scale));
    }
  }, { passive: false });
  track.addEventListener("keydown", (event) => onKey(v, event));
  const jump = (event) => {
    const x = event.clientX - strip.getBoundingClientRect().left;
    const middle = (x / (v.width - 1)) * Math.max(v.items.end, 40);
    v.move(pan(v.place, v.space(), middle - v.width / v.place.scale / 2));
  };
  strip.addEventListener("pointerdown", (event) => {
    strip.setPointerCapture(event.pointerId);
    jump(event);
  });
  strip.addEventListener("pointermove", (event) => event.buttons && jump(event));
}

function onKey(v, event) {
  const { base, end } = v.items, last = end - 1, at = v.selected;
  const page = Math.max(1, Math.floor(v.width / v.place.scale) - 1);
  const to = {
    ArrowLeft: at === null ? last : at - 1, ArrowRight: at === null ? last : at + 1,
    ArrowDown: at === null ? last : at - 1, ArrowUp: at === null ? last : at + 1,
    PageUp: (at ?? last) + page, PageDown: (at ?? last) - page, Home: base, End: last,
  }[event.key];
  if (to !== undefined && end > base) v.select(clamp(to, base, last), v.card !== null);
  else if (event.key === "Enter" && end > base) v.select(at ?? last, true);
  else if (event.key === "Escape") v.unselect();
  else if (event.key === "+" || event.key === "-") {
    v.move(zoom(v.place, v.space(), event.key === "+" ? 1.6 : 1 / 1.6, v.width / 2));
  } else return;
  event.preventDefault();
}

function showTip(v, tip, found, x) {
  const same = v.hover?.kind === found.kind && v.hover?.offset === found.offset;
  v.hover = found;
  const lines = {
    item: () => v.sayItem(found.offset),
    batch: () => v.sayBatch(found),
    ghost: () => `batch #${found.ghost.seq} came again and was dropped; offsets `
      + `${offsets(found.ghost.first, found.ghost.items)} are the copy that won`,
    tail: () => found.cell.kind === "unsent" ? "published here, not acknowledged yet"
      : `stored in the run's history (#${found.cell.seq}): no worker has applied it yet`,
    gone: () => `0–${count(v.items.base - 1)} truncated: nobody can read them any more`,
  }[found.kind];
  tip.hidden = !lines;
  if (lines) put(tip, lines());
  tip.style.left = `${clamp(x, 90, Math.max(90, v.width - 90))}px`;
  if (!same) v.touch();
}

/** What was chosen, an item or a batch, in words. */
function detailCard(v) {
  const title = h("h4"), list = h("dl"), value = h("pre", { cls: "sv-value" });
  const close = button("×", () => v.unselect(), { "aria-label": "Close details", cls: "sv-btn sv-close" });
  const node = h("div", { cls: "sv-card", role: "region", "aria-label": "Item details", hidden: true },
    h("div", { cls: "sv-cardhead" }, title, close), list, value);
  const rows = (card) => {
    if (card.kind === "batch") {
      const reason = card.reason ? [["reason", card.reason]] : [];
      return [
        ["publisher", v.ids[card.id] ?? "?"], ["sequence", count(card.seq)],
        ["verdict", { duplicate: "duplicate: dropped", accepted: "accepted" }[card.verdict] ?? card.verdict],
        ["offsets", card.first === null ? "forgotten" : card.items ? offsets(card.first, card.items) : "none"],
        ...reason];
    }
    const item = v.items.at(card.offset), got = card.answer;
    const publisher = item && item.id >= 0 ? v.ids[item.id] : got?.publisher;
    return [
      ["topic", got?.topic ?? v.topics[item?.topic] ?? "not fetched yet"],
      ["size", item || got?.found ? bytes(got?.size ?? item.size) : "–"],
      ["publisher", publisher ?? (item || got ? BY_NOBODY : "–")],
      ...(publisher ? [["sequence", count(got?.sequence ?? item?.seq ?? 0)]] : []),
      ...(got?.found ? [["encoding", got.encoding || "–"], ["type", got.type || "–"]] : [])];
  };
  const text = ({ kind, answer }) => {
    if (kind === "batch") return "";
    if (!answer) return v.state === "gone" ? "" : "…";
    return answer.found ? answer.text + (answer.cut ? "\n… (cut)" : "") : answer.error || "not found";
  };
  const update = () => {
    const card = v.card;
    node.hidden = !card;
    if (!card) return;
    attr(node, "data-kind", card.kind);
    attr(node, "data-offset", card.offset ?? card.first);
    attr(node, "data-sequence", card.seq);
    attr(node, "data-verdict", card.verdict);
    attr(node, "data-found", card.answer ? String(!!card.answer.found) : null);
    attr(node, "data-cut", card.answer?.cut || null);
    put(title, card.kind === "batch" ? `Batch #${card.seq}` : `Offset ${count(card.offset)}`);
    const pairs = rows(card).map(([label, words]) => [label, String(words)]);
    if (JSON.stringify(pairs) !== node.pairs) {
      node.pairs = JSON.stringify(pairs);
      list.replaceChildren(...pairs.map(([label, words]) =>
        h("div", {}, h("dt", {}, label), h("dd", { title: words }, short(words, 90)))));
    }
    put(value, text(card));
    value.hidden = !value.textContent;
    attr(value, "data-error", card.answer && !card.answer.found);
  };
  return { node, update };
}

function readersPanel(v) {
  const list = h("div", { cls: "sv-readers", role: "list" }), line = sayLine();
  const none = h("p", { cls: "sv-none" }, "No reader is open. Open one in a cell: ",
    h("code", {}, "reader = client.subscribe()"), ", or in the playground.");
  const { node, note } = section("readers", "Readers", "Readers", list, none, line.node);

  const make = ([key]) => {
    const name = h("b"), topics = h("span", { cls: "sv-of" });
    const gone = h("i", { cls: "sv-below" }), bar = h("i", { cls: "sv-lag" }), mark = h("i", { cls: "sv-mark" });
    const number = h("span", { cls: "sv-num" }), say = h("span", { cls: "sv-why" });
    const spark = h("canvas", { cls: "sv-spark", "aria-hidden": "true" });
    const read = kernelButton("Read 1", () => v.ask({ kind: "read", reader: key, count: 1 }, line.say),
      { "data-action": "read" });
    const close = kernelButton("Close", () => v.ask({ kind: "close", reader: key }, line.say),
      { "data-action": "close" });
    const row = h("div", { cls: "sv-reader", role: "listitem" },
      h("div", { cls: "sv-who" }, name, topics),
      h("div", { cls: "sv-lane" }, h("div", { cls: "sv-rail" }, gone, bar, mark), say),
      h("div", { cls: "sv-lags" }, number, spark), h("div", { cls: "sv-acts" }, read, close));
    row.parts = { name, topics, gone, bar, mark, number, say, spark, read, close };
    return row;
  };
  const fill = (row, [key, name, topics, position, told, missed, state, own]) => {
    const { base, end } = v.items, at = row.parts, open = state === "open";
    const { lag, below } = standing(position, base, end);
    Object.entries({ key, name, position, lag, below, missed, state, own })
      .forEach(([what, value]) => attr(row, `data-${what}`, String(value)));
    put(at.name, short(name, 18));
    attr(at.name, "title", name);
    put(at.topics, topics.length ? short(topics.join(", "), 24) : "all topics");
    attr(at.topics, "title", topics.join(", ") || null);
    // The rail begins with a stub for what is gone.
    const part = (offset) => 9 + 90 * (end > base ? clamp((offset - base) / (end - base), 0, 1) : 1);
    const x = below ? 3.5 : part(position);
    at.mark.style.left = `${x}%`;
    at.bar.style.left = `${below ? 9 : x}%`;
    at.bar.style.right = "1%";
    attr(at.gone, "data-base", base > 0);
    attr(row, "data-gap", below > 0 && open);
    put(at.say, !open ? state : below ? `${count(below)} below the base: will miss ${count(below)}`
      : `at ${count(position)}${missed ? `, missed ${count(missed)}` : ""}`);
    put(at.number, open ? count(lag) : "–");
    attr(at.number, "aria-label", `lag ${lag}`);
    v.enable(at.read, open);
    at.close.hidden = !own || !open;
    v.enable(at.close, open);
    drawSpark(at.spark, v.trends.get(key) ?? [], v.ink);
  };
  const update = () => {
    const readers = v.frame.readers ?? [];
    none.hidden = readers.length > 0;
    put(note, readers.length ? `lag = what is left to read` : "");
    keyed(list, readers, ([key]) => key, make, fill);
  };
  return { node, update };
}

function drawSpark(canvas, trend, ink) {
  const ctx = fitCanvas(canvas, 64, 20), most = Math.max(1, ...trend);
  if (trend.length < 2) return;
  const at = (n, i) => [(i / (trend.length - 1)) * 60 + 1, 17 - (n / most) * 14];
  ctx.beginPath();
  trend.forEach((n, i) => ctx.lineTo(...at(n, i)));
  ctx.strokeStyle = ink.accent;
  ctx.lineWidth = 1.5;
  ctx.lineJoin = "round";
  ctx.stroke();
  ctx.beginPath();
  ctx.arc(...at(trend[trend.length - 1], trend.length - 1), 2, 0, 7);
  ctx.fillStyle = ink.accent;
  ctx.fill();
}

function dedupPanel(v) {
  const body = h("tbody"), none = h("p", { cls: "sv-none" }, "Nobody has published from outside yet.");
  const heads = ["publisher", "sequence", "accepted", "dropped", "refused", "last seen", "last batches"];
  const table = h("table", { cls: "sv-table", "aria-label": "Publishers" }, h("thead", {},
    h("tr", {}, ...heads.map((each) => h("th", { scope: "col" }, each)))), body);
  const scroller = h("div", { cls: "sv-scroll", tabindex: 0, role: "region", "aria-label": "Publishers, scrollable" }, table);
  const { node, note } = section("dedup", "Publishers", "Publishers and duplicates", scroller, none);

  const make = () => {
    const dot = h("i", { cls: "sv-dot" }), name = h("span"), ticks = h("td", { cls: "sv-ticks" });
    const cells = [0, 1, 2, 3, 4].map(() => h("td", { cls: "sv-num" }));
    const row = h("tr", {}, h("th", { scope: "row" }, dot, name), ...cells, ticks);
    row.parts = { dot, name, cells, ticks };
    return row;
  };
  const fill = (row, [id, seq, accepted, dropped, refused]) => {
    const { dot, name, cells, ticks } = row.parts, index = v.ids.indexOf(id);
    Object.entries({ publisher: id, sequence: seq, accepted, dropped, refused })
      .forEach(([what, value]) => attr(row, `data-${what}`, String(value)));
    dot.style.background = index < 0 ? "" : v.ink.pens[index % v.ink.pens.length];
    put(name, short(id, 10));
    attr(name, "title", id);
    [seq, accepted, dropped, refused].forEach((n, i) => {
      put(cells[i], count(n));
      attr(cells[i], "data-zero", n === 0);
    });
    const last = (v.frame.batches ?? []).filter(([whose]) => whose === index).slice(-16);
    keyed(ticks, last, (_, i) => i, () => button("", function () { v.choose(this.batch); }, { cls: "sv-tick" }), tickOf);
  };
  const tickOf = (node, [id, seq, verdict, first, items, reason]) => {
    node.batch = { kind: "batch", id, seq, verdict, first, items, reason };
    put(node, MARKS[verdict] ?? "?");
    attr(node, "data-verdict", verdict);
    attr(node, "data-sequence", seq);
    const where = first === null || !items ? "" : `, offsets ${offsets(first, items)}`;
    attr(node, "aria-label", `batch ${seq} ${verdict}${verdict === "duplicate" ? ", dropped" : ""}${where}`);
    attr(node, "title", `#${seq} ${verdict}${where}${reason ? `: ${reason}` : ""}`);
  };
  const tick = () => [...body.children].forEach((row, i) => {
    const seen = v.frame.publishers?.[i]?.[5];
    put(row.parts.cells[4], seen ? `${span(v.age(seen))} ago` : "–");
  });
  const update = () => {
    const list = v.frame.publishers ?? [], dropped = list.reduce((sum, row) => sum + row[3], 0);
    none.hidden = list.length > 0;
    scroller.hidden = !list.length;
    const more = v.frame.publishers_more ? `, ${plural(v.frame.publishers_more, "more")}` : "";
    put(note, list.length ? `${plural(list.length, "publisher")}${more} · ${plural(dropped, "duplicate")} dropped` : "");
    keyed(body, list, ([id]) => id, make, fill);
    tick();
  };
  return { node, update, tick };
}

function costPanel(v) {
  const list = h("div", { cls: "sv-costs" }), foot = h("p", { cls: "sv-pace" });
  const { node, note } = section("cost", "Cost of this run", "Cost of this run", list, foot);
  const kinds = [["events", "history events", count], ["bytes", "history size", bytes],
    ["signals", "signals", count], ["updates", "updates", count]];
  const make = () => {
    const label = h("span"), figure = h("span", { cls: "sv-num" }), fill = h("i"), mark = h("u");
    const bar = h("div", { cls: "sv-meter", role: "img" }, fill, mark);
    const row = h("div", { cls: "sv-cost-row" }, label, figure, bar);
    row.parts = { label, figure, fill, mark, bar };
    return row;
  };
  const fill = (row, [kind, words, format]) => {
    const [used, limit] = v.frame.cost[kind], suggested = v.frame.cost.suggested?.[kind];
    const { label, figure, fill: bar, mark, bar: meter } = row.parts, share = used / Math.max(1, limit);
    put(label, words);
    put(figure, `${format(used)} / ${format(limit)}`);
    attr(row, "data-cost", kind);
    attr(row, "data-used", used);
    attr(row, "data-limit", limit);
    attr(row, "data-high", share > 0.8 || used > suggested);
    attr(meter, "aria-label", `${words}: ${format(used)} of ${format(limit)}`);
    bar.style.width = `${clamp(share * 100, used ? 0.6 : 0, 100)}%`;
    mark.hidden = !suggested;
    if (suggested) {
      mark.style.left = `${(suggested / limit) * 100}%`;
      attr(mark, "title", `from ${format(suggested)} the server suggests to continue as new`);
    }
  };
  const tick = () => {
    const cost = v.frame.cost, now = performance.now();
    if (!cost) return put(foot, "Nothing is known of the run yet.");
    const left = kinds.map(([kind, words]) => [pace(v.costs[kind] ?? [], cost[kind][1], now), words])
      .filter(([ms]) => ms !== null).sort((a, b) => a[0] - b[0])[0];
    attr(foot, "data-left-ms", left ? Math.round(left[0]) : null);
    put(foot, left ? `At this pace the run's limit of ${left[1]} is ${span(left[0])} away.`
      : "The mark: from here on the server suggests to continue as new.");
    const run = (v.frame.stream?.seams.length ?? 0) + 1;
    put(note, `run ${count(run)} · began ${span(v.age(cost.run_began_ms))} ago`);
  };
  const update = () => {
    keyed(list, v.frame.cost ? kinds : [], ([kind]) => kind, make, fill);
    tick();
  };
  return { node, update, tick };
}

function backgroundPanel(v) {
  const list = h("div", { cls: "sv-parts", role: "list" }), waits = h("p", { cls: "sv-waits" }), line = sayLine();
  const { node, note } = section("background", "Background", "Background processes", list, waits, line.node);
  const actions = ["pause", "resume", "kill", "restart"];
  const make = ([name]) => {
    const dot = h("i", { cls: "sv-dot" }), title = h("b"), detail = h("span", { cls: "sv-of" });
    const buttons = actions.map((action) => kernelButton(action[0].toUpperCase() + action.slice(1),
      () => v.ask({ kind: "part", name, action }, line.say), { "data-action": action }));
    const row = h("div", { cls: "sv-part", role: "listitem" }, dot,
      h("div", { cls: "sv-who" }, title, detail), h("div", { cls: "sv-acts" }, ...buttons));
    row.parts = { title, detail, buttons };
    return row;
  };
  const fill = (row, [name, kind, pid, state, detail, allowed]) => {
    const { title, detail: words, buttons } = row.parts;
    Object.entries({ part: name, kind, pid, state }).forEach(([what, value]) => attr(row, `data-${what}`, value));
    put(title, short(name, 30));
    attr(title, "title", name);
    put(words, [state, pid && `pid ${pid}`, detail && short(detail, 60)].filter(Boolean).join(" · "));
    attr(words, "title", detail || null);
    buttons.forEach((each) => {
      each.hidden = !allowed.includes(each.dataset.action);
      v.enable(each, true);
    });
  };
  const tick = () => put(note, v.state === "live" || v.state === "closed" || !v.frame.at ? ""
    : `numbers are ${span(v.age(v.frame.at))} old`);
  const update = () => {
    keyed(list, v.frame.parts ?? [], ([name]) => name, make, fill);
    const n = v.waits();
    attr(waits, "data-waiting", n);
    waits.hidden = !n;
    put(waits, n ? `${plural(n, "batch", "batches")} stored in the run's history: no worker has applied ${n > 1 ? "them" : "it"} yet.` : "");
    tick();
  };
  return { node, update, tick };
}

function playgroundPanel(v) {
  const line = sayLine();
  const parts = [truncateForm(v, line.say), publishForm(v, line.say), openForm(v, line.say)];
  const { node, bar } = section("playground", "Playground", "Playground",
    h("div", { cls: "sv-forms" }, ...parts.map((each) => each.node)), line.node);
  const reset = kernelButton("Reset", () => v.ask({ kind: "reset" }, line.say),
    { "data-action": "reset", title: "Begin with a fresh stream" });
  if (v.options.reset) bar.append(h("div", { cls: "sv-tools" }, reset));
  return { node, update: () => { parts.forEach((each) => each.update()); v.enable(reset, true); } };
}

/** Truncate: every control previews; only Apply does it. */
function truncateForm(v, say) {
  let keeping = null; // "keep the last N" stays true while the stream grows
  const slider = h("input", { type: "range", min: 0, step: 1, "aria-label": "Truncate up to offset" });
  const upTo = numberField({ "aria-label": "Up to offset" }), keep = numberField({ "aria-label": "Keep the last" });
  const what = h("p", { cls: "sv-what" }), who = h("ul", { cls: "sv-strands", "aria-label": "Readers left behind" });
  const apply = kernelButton("Truncate", () => {
    v.ask({ kind: "truncate", up_to: v.preview }, say);
    keeping = null;
  }, { cls: "sv-btn sv-danger", "data-action": "truncate" });
  const why = h("p", { cls: "sv-why" });
  const node = h("form", { cls: "sv-form sv-truncate", "aria-label": "Truncate" },
    h("h4", {}, "Truncate"), slider,
    h("div", { cls: "sv-line" }, field("up to", upTo), field("keep last", keep), apply), what, who, why);
  node.addEventListener("submit", (event) => event.preventDefault());
  const preview = (offset, keepLast = null) => {
    keeping = keepLast;
    v.preview = clamp(offset, v.items.base, v.items.end);
    v.refresh();
  };
  slider.addEventListener("input", () => preview(whole(slider)));
  upTo.addEventListener("input", () => upTo.value !== "" && preview(whole(upTo)));
  keep.addEventListener("input", () => keep.value !== "" && preview(v.items.end - whole(keep), whole(keep)));

  const update = () => {
    const { base, end } = v.items, { ok, why: reason } = v.frame.truncate ?? { ok: false, why: "" };
    if (keeping !== null) v.preview = Math.max(base, end - keeping);
    if (v.preview !== null && v.preview <= base) v.preview = null;
    const at = v.preview ?? base, left = stranded(v.frame.readers ?? [], at);
    attr(slider, "max", end);
    attr(slider, "min", base);
    if (slider.value !== String(at)) slider.value = at;
    slider.style.setProperty("--part", `${((at - base) / Math.max(1, end - base)) * 100}%`);
    const idle = (input) => !input.matches(":focus");
    if (idle(upTo)) upTo.value = at;
    if (idle(keep)) keep.value = end - at;
    attr(node, "data-up-to", at);
    attr(node, "data-goes", at - base);
    put(what, at > base ? `${offsets(base, at - base)} would go: ${plural(at - base, "item")}.`
      : "Move the slider: what would go is shaded on the tape.");
    keyed(who, at > base ? left : [], ({ key }) => key, () => h("li"), (row, { name, misses }) => {
      put(row, `${short(name, 24)} would miss ${count(misses)}`);
      attr(row, "data-name", name);
      attr(row, "data-misses", misses);
    });
    put(why, ok ? "" : reason);
    why.hidden = !why.textContent;
    v.enable(apply, ok && at > base, ok ? "" : reason);
  };
  return { node, update };
}

function publishForm(v, say) {
  const names = h("datalist", { id: `${v.id}-topics` });
  const topic = h("input", { type: "text", value: "demo", maxlength: 200, list: names.id });
  const words = h("input", { type: "text", value: "hello", maxlength: 2000 });
  const times = numberField({ value: 1, min: 1, max: 10000 });
  const lose = h("input", { type: "checkbox", name: "lose_ack" });
  const go = kernelButton("Publish", undefined, { type: "submit", cls: "sv-btn sv-go", "data-action": "publish" });
  const node = h("form", { cls: "sv-form sv-publish", "aria-label": "Publish" }, h("h4", {}, "Publish"),
    h("div", { cls: "sv-line" }, field("topic", topic), field("text", words), field("times", times)),
    h("label", { cls: "sv-check", title: "The batch is stored, its sender does not learn it and sends it again" },
      lose, "lose the acknowledgement"), h("div", { cls: "sv-line" }, go), names);
  node.addEventListener("submit", (event) => {
    event.preventDefault();
    if (go.disabled) return;
    v.ask({
      kind: "publish", topic: topic.value, text: words.value, count: Math.max(1, whole(times, 1)),
      lose_ack: lose.checked,
    }, say);
  });
  const update = () => {
    keyed(names, v.topics.slice(0, 20), (_, i) => i, () => h("option"), (node, name) => attr(node, "value", name));
    v.enable(go, v.state !== "closed", "the workflow has closed");
  };
  return { node, update };
}

function openForm(v, say) {
  const from = select("Open from", [["oldest", "the oldest"], ["latest", "the end"], ["offset", "offset …"]]);
  const at = numberField({ value: 0, "aria-label": "Offset to open from" });
  const gap = select("At a gap", [["skip", "skip a gap"], ["raise", "raise at a gap"]]);
  const go = kernelButton("Open", undefined, { type: "submit", cls: "sv-btn sv-go", "data-action": "open" });
  const node = h("form", { cls: "sv-form sv-open", "aria-label": "Open a reader" }, h("h4", {}, "Open a reader"),
    h("div", { cls: "sv-line" }, field("from", from), at), h("div", { cls: "sv-line" }, field("on truncated", gap), go));
  const update = () => { at.hidden = from.value !== "offset"; v.enable(go, true); };
  from.addEventListener("change", update);
  node.addEventListener("submit", (event) => {
    event.preventDefault();
    if (go.disabled) return;
    const begin = { oldest: v.items.base, latest: "latest", offset: whole(at) }[from.value];
    v.ask({ kind: "open", from: begin, on_truncated: gap.value }, say);
  });
  return { node, update };
}

const PANELS = {
  tape: tapePanel, readers: readersPanel, dedup: dedupPanel, cost: costPanel,
  background: backgroundPanel, playground: playgroundPanel,
};

// ---------------------------------------------------------------- the view

const LOST = 3000, PAUSE = 60, PAUSE_LIVE = 110, PAUSE_SMALL = 300, WATCH = 10, SAY = 6000;

/**
 * One picture on the page. It hears frames and answers at once, also in a hidden tab; it draws in
 * at most one animation frame after a change, and only while it can be seen.
 */
class View {
  constructor(model, el) {
    this.model = model;
    this.id = globalThis.crypto?.randomUUID?.() ?? `view-${Math.random().toString(36).slice(2)}`;
    this.options = { panels: Object.keys(PANELS), reset: false, ...model.get("options") };
    this.items = new Items();
    this.bins = new Uint16Array(0);
    this.pending = new Map(); // command's id -> who shows the answer
    this.asks = 0;
    this.most = CHUNK; // items in an answer: learned, a kernel may give fewer
    this.visible = false;
    this.heard = performance.now(); // when the kernel last gave a sign of life
    this.loop = 0;
    this.broken = false;
    this.state = "empty";
    this.width = 600;
    this.table = false;
    this.nextFetch = 0;
    this.listeners = [];
    this.forget();
    this.build(el);
    this.listen();
    const saved = model.get("frame") ?? {};
    this.hear(saved, clamp(Date.now() - (saved.now ?? Date.now()), 0, 864e5));
    this.watch();
  }

  /** Begin with nothing: another stream. */
  forget() {
    this.items.clear();
    this.frame = {};
    this.topics = [];
    this.ids = [];
    this.letters = [];
    this.hidden = new Set(); // topics filtered out
    this.ghosts = new Map();
    this.placed = [];
    this.tails = [];
    this.trends = new Map(); // reader -> last lags
    this.costs = {}; // kind -> [{at, used}]
    this.place = { left: 0, scale: SCALE, follow: true };
    this.rows = rowsOf(0);
    this.selected = null; // an offset
    this.chosen = null; // a batch: {id, seq, first, items}
    this.card = null;
    this.preview = null;
    this.hover = null;
    this.asked = null; // the range on its way
  }

  build(el) {
    this.live = h("div", { cls: "sv-live", "aria-live": "polite", role: "status" });
    this.panels = [headPanel(this)];
    for (const name of this.options.panels) if (PANELS[name]) this.panels.push(PANELS[name](this));
    this.tape = this.panels.find((panel) => panel.paint);
    const [head, ...rest] = this.panels;
    this.root = h("div", { cls: "sv", "data-lm-suppress-shortcuts": "true", role: "group", "aria-label": "Stream view" },
      head.node, h("div", { cls: "sv-panels" }, ...rest.map((panel) => panel.node)), this.live);
    el.append(this.root);
  }

  /** Everything that `close` takes back. */
  listen() {
    const on = (target, event, listener) => {
      target.addEventListener(event, listener);
      this.listeners.push(() => target.removeEventListener(event, listener));
    };
    const hear = (event, listener) => {
      this.model.on(event, listener);
      this.listeners.push(() => this.model.off(event, listener));
    };
    const observe = (observer, target, options) => {
      observer.observe(target, options);
      this.listeners.push(() => observer.disconnect());
    };
    hear("change:frame", () => this.hear(this.model.get("frame") ?? {}, 0));
    hear("msg:custom", (content, buffers) => this.onMessage(content, buffers));
    // JupyterLab's own keys (A, B, D D ...) are not meant for it while one types here.
    for (const key of ["keydown", "keypress", "keyup"]) on(this.root, key, (event) => event.stopPropagation());
    on(document, "visibilitychange", () => this.look());
    observe(new IntersectionObserver((seen) => this.look(seen[seen.length - 1].isIntersecting)), this.root);
    observe(new ResizeObserver(() => this.touch()), this.root);
    observe(new MutationObserver(() => { this.ink = null; this.refresh(); }), document.body,
      { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"] });
    const motion = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.still = motion.matches;
    on(motion, "change", () => { this.still = motion.matches; });
    let seconds = 0;
    const timer = setInterval(() => this.tick(++seconds), 1000);
    this.listeners.push(() => clearInterval(timer));
  }

  close() {
    this.visible = false;
    this.watch();
    this.listeners.forEach((undo) => undo());
    clearTimeout(this.timer);
    clearTimeout(this.lost);
    cancelAnimationFrame(this.raf);
    this.root.remove();
  }

  // ------------------------------------------------ hearing

  hear(frame, late) {
    if (frame.v === undefined) return this.refresh();
    const first = this.epoch !== frame.epoch, now = performance.now();
    if (first) this.forget();
    this.epoch = frame.epoch;
    this.frame = frame;
    this.clock = { kernel: frame.now + late, here: now };
    this.framed = late ? -Infinity : now;
    this.names(frame.topics, frame.ids);
    const { stream, items } = frame;
    if (stream) this.items.bound(stream.base, stream.end);
    if (stream?.describes && items?.topic.length) {
      const { id, seq } = expandRuns(items.runs, items.topic.length);
      this.items.merge(items.first, items.topic, items.size, id, seq);
    }
    this.ghosts = collectGhosts(this.ghosts, frame.batches ?? [], this.items.base, first ? -1e9 : now);
    this.tails = tail(frame.waiting ?? [], frame.unsent ?? 0);
    this.sample(now);
    this.dropGone();
    this.mark();
    this.refresh();
    this.fetchSoon();
  }

  names(topics = [], ids = []) {
    if (topics.length > this.topics.length) {
      this.topics = topics;
      this.letters = letters(topics);
    }
    if (ids.length > this.ids.length) this.ids = ids;
  }

  /** Keep what trends and paces are made of. */
  sample(now) {
    const { readers = [], cost } = this.frame;
    if (!(now - this.sampled < 400)) {
      this.sampled = now;
      const before = this.trends;
      this.trends = new Map(readers.map(([key, , , position]) =>
        [key, [...(before.get(key) ?? []), standing(position, this.items.base, this.items.end).lag].slice(-60)]));
    }
    for (const kind of cost ? ["events", "bytes", "signals", "updates"] : []) {
      const seen = this.costs[kind] ?? [], used = cost[kind][0];
      const begins = seen.length && used < seen[seen.length - 1].used; // a new run
      this.costs[kind] = [...(begins ? [] : seen.filter(({ at }) => now - at < 30_000)), { at: now, used }];
    }
  }

  /** What was selected may have been truncated meanwhile. */
  dropGone() {
    if (this.selected !== null && this.selected < this.items.base) this.unselect();
    if (this.preview !== null && this.preview <= this.items.base) this.preview = null;
  }

  /** For tests, and for whoever looks at the page's elements. */
  mark() {
    const { base, end, fetched } = this.items;
    Object.entries({ rev: this.frame.rev, epoch: this.frame.epoch, base, end, fetched })
      .forEach(([name, value]) => attr(this.root, `data-${name}`, value));
  }

  onMessage(content, buffers) {
    this.heard = performance.now();
    this.broken = false;
    if (content.kind === "beat") this.loop = content.loop;
    else if (content.id === this.asked?.id) this.onRange(content, buffers);
    else if (this.pending.has(content.id)) {
      const answer = this.pending.get(content.id);
      this.pending.delete(content.id);
      answer(content);
    }
    this.judge();
  }

  onRange(content, buffers) {
    const asked = this.asked;
    this.asked = null;
    clearTimeout(this.lost);
    let fresh = 0;
    if (content.kind === "range" && content.epoch === this.epoch) {
      this.names(content.topics, content.ids);
      this.items.bound(content.base, content.end);
      if (content.count) fresh = this.items.merge(content.first, ...columns(buffers));
      if (content.count && content.count < asked.count && content.first === asked.first) {
        this.most = Math.max(256, content.count);
      }
    }
    const live = performance.now() - this.framed < 250;
    const pause = !fresh ? 1000 : fresh < this.most / 4 ? PAUSE_SMALL : live ? PAUSE_LIVE : PAUSE;
    this.nextFetch = performance.now() + pause;
    this.mark();
    this.refresh();
    this.fetchSoon();
  }

  // ------------------------------------------------ asking

  send(content) {
    try {
      this.model.send(content);
      return true;
    } catch {
      this.broken = true;
      this.judge();
      return false;
    }
  }

  watch() { this.send({ kind: "watch", view: this.id, visible: this.visible }); }

  /** Send a command; `say` shows its answer. */
  ask(content, say) {
    const id = `${this.id}:${++this.asks}`;
    say("…", "wait");
    this.pending.set(id, ({ ok, text }) => say(short(text, 600), ok ? "ok" : "error"));
    if (!this.send({ ...content, id })) say(SILENCE, "error");
  }

  /** Ask for an item's value, a little later: whoever holds an arrow key down means the last one. */
  askItem(card) {
    clearTimeout(this.asking);
    this.asking = setTimeout(() => {
      const id = `${this.id}:${++this.asks}`;
      this.pending.set(id, (answer) => { card.answer = answer; this.refresh(); });
      this.send({ kind: "item", id, offset: card.offset });
    }, 90);
  }

  /** Fetch what is missing, one range at a time, and only while somebody looks. */
  fetchSoon() {
    if (this.timer || this.asked || !this.visible || this.state === "gone") return;
    if (!this.frame.stream?.describes) return;
    this.timer = setTimeout(() => { this.timer = 0; this.fetch(); }, Math.max(0, this.nextFetch - performance.now()));
  }

  fetch() {
    const [from, to] = this.window(), range = nextRange(this.items, from, to, this.most);
    if (!range || this.asked || !this.visible) return;
    const id = `${this.id}:${++this.asks}`;
    this.asked = { id, ...range };
    this.lastAsk = performance.now();
    this.nextFetch = this.lastAsk + PAUSE;
    this.lost = setTimeout(() => { this.asked = null; this.fetchSoon(); }, LOST);
    if (!this.send({ kind: "range", id, ...range })) this.asked = null;
  }

  /** A hole came into view: it does not wait for its turn. */
  hurry() {
    if (!this.timer || this.items.lastHole(...this.window()) < 0) return;
    clearTimeout(this.timer);
    this.timer = 0;
    this.nextFetch = Math.min(this.nextFetch, (this.lastAsk ?? 0) + PAUSE);
    this.fetchSoon();
  }

  window() {
    return [Math.floor(this.place.left), Math.ceil(this.place.left + this.width / this.place.scale)];
  }

  // ------------------------------------------------ what is true now

  space() {
    const { base, end } = this.items;
    return { base, end, tail: this.tails.length, width: this.width };
  }

  /** Milliseconds since a moment of the kernel's clock. */
  age(moment) {
    return this.clock ? this.clock.kernel + performance.now() - this.clock.here - moment : 0;
  }

  waits() { return (this.frame.waiting?.length ?? 0) + (this.frame.waiting_more ?? 0); }

  judge() {
    const state = stateOf(this.frame, performance.now() - this.heard, this.loop, this.broken);
    if (state === this.state) return;
    this.state = state;
    this.refresh();
    this.fetchSoon();
  }

  /** Let a kernel button work, if it may and the kernel is there. */
  enable(node, ok, why = "") {
    node.disabled = !ok || this.state === "gone";
    if (why || node.why) attr(node, "title", (node.why = why) || null);
  }

  tick(seconds) {
    this.judge();
    if (!this.visible) return;
    if (seconds % WATCH === 0) this.watch();
    if (this.state !== "gone") this.panels.forEach((panel) => panel.tick?.());
    this.announce();
  }

  /** The one live region: not more often than a listener can follow. */
  announce() {
    const { stream, readers = [] } = this.frame, { base, end } = this.items, now = performance.now();
    if (!stream || now - (this.said ?? 0) < SAY) return;
    const state = { live: "", closed: `, closed ${stream.status}` }[this.state] ?? `, ${STATUS[this.state] ?? "no answer"}`;
    const words = `${plural(end - base, "item")}, offsets ${base} to ${end}${state}, `
      + `${plural(readers.length, "reader")}, ${plural(this.ghosts.size, "duplicate")} dropped`;
    if (this.live.textContent !== words) this.said = now;
    put(this.live, words);
  }

  sayItem(offset) {
    const item = this.items.at(offset);
    if (!item) return `offset ${count(offset)}${this.frame.stream?.describes ? ", not fetched yet" : ""}`;
    const whose = item.id < 0 ? "" : `, publisher ${short(this.ids[item.id] ?? "?", 10)} #${item.seq}`;
    return `offset ${count(offset)}, ${short(this.topics[item.topic] ?? "?", 40)}, ${bytes(item.size)}${whose}`;
  }

  sayBatch({ id, seq, first, items }) {
    return `batch #${seq} of ${short(this.ids[id] ?? "?", 10)}: ${plural(items, "item")}, offsets ${offsets(first, items)}`;
  }

  // ------------------------------------------------ moving and selecting

  find(x, y) {
    const { rows, place, items, placed, tails } = this;
    return hit(x, y, { rows, place, items, placed, tails });
  }

  move(place) {
    const followed = this.place.follow;
    this.place = place;
    if (followed === place.follow) this.touch();
    else this.refresh();
    this.fetchSoon();
    this.hurry();
  }

  /** Bring offsets into view, if they are not. */
  reveal(first, size = 1) {
    const [from, to] = this.window();
    if (first > from && first + size < to) return;
    const room = this.width / this.place.scale;
    this.move(pan(this.place, this.space(), size < room ? first - (room - size) / 2 : first - 1));
  }

  /** Jump to an offset, at a scale at which cells can be told apart. */
  show(offset) {
    const at = clamp(offset, this.items.base, Math.max(this.items.base, this.items.end - 1));
    if (this.place.scale < 8) this.place = settle({ ...this.place, scale: SCALE, follow: false }, this.space());
    this.select(at, this.card !== null);
    const { left } = this.place, room = this.width / this.place.scale;
    if (Math.abs(left + room / 2 - at) > room / 3) this.move(pan(this.place, this.space(), at - room / 2));
  }

  select(offset, details) {
    this.selected = offset;
    this.chosen = null;
    this.card = details ? { kind: "item", offset, answer: null } : null;
    if (details) this.askItem(this.card);
    attr(this.root, "data-selected", offset);
    this.reveal(offset);
    this.refresh();
  }

  unselect() {
    this.selected = this.chosen = this.card = null;
    attr(this.root, "data-selected", null);
    this.refresh();
  }

  /** What a click found. */
  choose(found) {
    if (found.kind === "item") this.select(found.offset, true);
    else if (found.kind === "ghost") this.chooseBatch({ ...found.ghost, verdict: "duplicate", ghost: found.ghost.key });
    else if (found.kind === "batch") this.chooseBatch({ verdict: "accepted", ...found });
    else this.unselect();
  }

  chooseBatch(batch) {
    const known = batch.items && batch.first !== null;
    this.unselect();
    this.chosen = known ? batch : { id: batch.id, seq: batch.seq };
    this.card = { ...batch, kind: "batch" };
    if (known && batch.first >= this.items.base) this.reveal(batch.first, batch.items);
    this.refresh();
  }

  // ------------------------------------------------ drawing

  /** The canvas is out of date. */
  touch() {
    if (this.raf || !this.visible) return;
    this.raf = requestAnimationFrame((now) => this.draw(now));
  }

  /** Everything is out of date. */
  refresh() {
    this.old = true;
    this.touch();
  }

  look(intersects = this.intersects) {
    this.intersects = intersects;
    const visible = !!intersects && document.visibilityState === "visible";
    if (visible === this.visible) return;
    this.visible = visible;
    this.watch();
    this.refresh();
    this.fetchSoon();
  }

  draw(now) {
    this.raf = 0;
    if (!this.visible) return;
    if (!this.ink) this.dress();
    if (this.old) {
      this.old = false;
      this.state = stateOf(this.frame, performance.now() - this.heard, this.loop, this.broken);
      attr(this.root, "data-state", this.state);
      attr(this.root, "data-follow", String(this.place.follow));
      this.panels.forEach((panel) => panel.update());
    }
    const falling = this.tape?.paint(now);
    attr(this.root, "data-painted", this.frame.rev);
    if (falling) this.touch();
  }

  /** Take the page's theme. */
  dress() {
    const told = document.body.dataset.jpThemeLight;
    const [r, g, b] = (getComputedStyle(this.root).backgroundColor.match(/[\d.]+/g) ?? [255, 255, 255]).map(Number);
    const dark = told ? told === "false" : r * 0.3 + g * 0.6 + b * 0.1 < 110;
    attr(this.root, "data-theme", dark ? "dark" : "light");
    this.ink = readInk(this.root);
    this.old = true;
  }
}

function render({ model, el }) {
  const view = new View(model, el);
  return () => view.close();
}

export default { render };
