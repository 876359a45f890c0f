// A live picture of a stream, drawn in the browser; `view.css` is its look.
//
//     kernel --frame (trait), answers (messages)--> [ View ] --commands (model.send)--> kernel
//                                                     |
//                         Items: what is known of each offset --> canvas tape, HTML panels
//
// In this order: words, items, geometry, facts, all pure and tested in node; the tape's drawing;
// the panels; the View, which hears, asks and decides when to draw. Nothing here writes a trait,
// and text from outside becomes text, never markup.

// ---------------------------------------------------------------- words (pure)

const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

/** 1234567 -> "1,234,567", the same in every locale. */
export const count = (n) => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");
export const plural = (n, word, many = `${word}s`) => `${count(n)} ${n === 1 ? word : many}`;

/** 5900 -> "5.8 KB". */
export function bytes(n) {
	let unit = 0;
	for (; n >= 1000 && unit < 4; unit++) n /= 1024;
	return `${unit && n < 99.95 ? n.toFixed(1) : Math.round(n)} ${["B", "KB", "MB", "GB", "TB"][unit]}`;
}

/** Milliseconds in their largest unit: "3 s", "2 min", "5 h", "4 d". */
export function span(ms) {
	const s = ms / 1000;
	if (s < 90) return s < 1 ? "< 1 s" : `${Math.floor(s)} s`;
	if (s < 5400) return `${Math.round(s / 60)} min`;
	return s < 129600 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
}

export const short = (text, most = 24) => (text?.length > most ? `${text.slice(0, most - 1)}…` : `${text}`);

/** Consecutive offsets: "4", "4–6". */
export const offsets = (first, items) => (items > 1 ? `${count(first)}–${count(first + items - 1)}` : count(first));

/** A letter for each topic: one of its own if there is one left. */
export function letters(topics) {
	const taken = new Set();
	return topics.map((topic) => {
		const own = topic.toUpperCase().replace(/[^A-Z0-9]/g, "");
		const letter = [...own, ..."ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"].find((c) => !taken.has(c));
		taken.add(letter);
		return letter ?? "?";
	});
}

// ---------------------------------------------------------------- items (pure)

export const CHUNK = 4096;
// Of topic, size, id, seq.
const UNKNOWN = 0xffff, TYPES = [Uint16Array, Uint32Array, Int16Array, Uint32Array];

/**
 * What is known of the offsets [base, end), in columns, in chunks of 4,096 offsets. Merging is
 * idempotent and takes any order; nothing below the base is kept.
 */
export class Items {
	constructor() { this.clear(); }

	clear() {
		this.chunks = new Map();
		// Fetched: how many are known.
		this.base = this.end = this.fetched = 0;
	}

	/** Move the bounds forward. They never go back: an older answer does no harm. */
	bound(base, end) {
		this.end = Math.max(this.end, end, base);
		if (base <= this.base) return;
		this.base = base;
		for (const [number, chunk] of this.chunks) {
			const below = Math.min(base - number * CHUNK, CHUNK), before = chunk.known;
			for (let at = 0; at < below; at++) {
				if (chunk.topic[at] !== UNKNOWN) chunk.known--;
				chunk.topic[at] = UNKNOWN;
			}
			this.fetched += chunk.known - before;
			if (below === CHUNK) this.chunks.delete(number);
		}
	}

	/** Take columns for consecutive offsets from `first`; returns how many were not known. */
	merge(first, topic, size, id, seq) {
		const before = this.fetched, to = Math.min(topic.length, this.end - first);
		for (let i = Math.max(0, this.base - first); i < to; i++) {
			const chunk = this.chunk(Math.floor((first + i) / CHUNK)), at = (first + i) % CHUNK;
			const known = chunk.topic[at] !== UNKNOWN;
			// A batch that the stream has forgotten stays known here.
			if (known && id[i] < 0) continue;
			if (!known) { chunk.known++; this.fetched++; }
			chunk.topic[at] = topic[i];
			chunk.size[at] = size[i];
			chunk.id[at] = id[i];
			chunk.seq[at] = seq[i];
		}
		return this.fetched - before;
	}

	chunk(number) {
		if (!this.chunks.has(number)) {
			const [topic, size, id, seq] = TYPES.map((Type) => new Type(CHUNK));
			this.chunks.set(number, { topic: topic.fill(UNKNOWN), size, id, seq, known: 0 });
		}
		return this.chunks.get(number);
	}

	/** An item, or null if it is not known. Its `id` is -1 if no publisher is. */
	at(offset) {
		const chunk = this.chunks.get(Math.floor(offset / CHUNK)), at = offset % CHUNK;
		if (!chunk || chunk.topic[at] === UNKNOWN) return null;
		return { topic: chunk.topic[at], size: chunk.size[at], id: chunk.id[at], seq: chunk.seq[at] };
	}

	/** The batch that an offset belongs to, {id, seq, first, items}; null if to none. */
	batch(offset) {
		const item = this.at(offset);
		if (!item || item.id < 0) return null;
		let first = offset, next = offset + 1;
		while (sameBatch(item, this.at(first - 1))) first--;
		while (sameBatch(item, this.at(next))) next++;
		return { id: item.id, seq: item.seq, first, items: next - first };
	}

	/** The last offset in [from, to) that is not known; -1 if all are. */
	lastHole(from, to) {
		const low = Math.max(from, this.base);
		for (let at = Math.min(to, this.end) - 1; at >= low;) {
			const start = Math.floor(at / CHUNK) * CHUNK, chunk = this.chunks.get(start / CHUNK);
			if (!chunk) return at;
			if (chunk.known === CHUNK) at = start - 1;
			else for (; at >= Math.max(start, low); at--) if (chunk.topic[at - start] === UNKNOWN) return at;
		}
		return -1;
	}
}

const sameBatch = (a, b) => !!a && !!b && a.id >= 0 && a.id === b.id && a.seq === b.seq;

/** A frame's `runs`, [[count, id, sequence], ...], as two columns. */
export function expandRuns(runs) {
	const column = (which) => runs.flatMap((run) => Array(run[0]).fill(run[which]));
	return [column(1), column(2)];
}

/** The columns of an answer. Copied: they may begin at an odd address. */
export const columns = (buffers) => TYPES.map((Type, i) => {
	const { buffer = buffers[i], byteOffset = 0, byteLength } = buffers[i];
	return new Type(buffer.slice(byteOffset, byteOffset + byteLength));
});

/**
 * What to ask for: the newest hole in view, else the newest of all, with as much before it as an
 * answer holds. Its neighbours come along: few messages are worth more than few bytes.
 */
export function nextRange(items, from, to, most = CHUNK) {
	const seen = items.lastHole(from, to), hole = seen < 0 ? items.lastHole(items.base, items.end) : seen;
	if (hole < 0) return null;
	let first = Math.max(items.base, hole - most + 1);
	while (items.at(first)) first++;
	return { first, count: hole + 1 - first };
}

// ---------------------------------------------------------------- geometry (pure)
//
//     place = {left, scale, follow}: the offset at the left edge, pixels per offset
//     space = {base, end, tail, width}: `tail` cells after the end are not durable yet

// Pixels for what is truncated, left of the base.
export const STUB = 92;
const MOST_SCALE = 46, SCALE = 30, MARGIN = 12;
const before = (base) => (base > 0 ? STUB : MARGIN);

/** How far one can pan: from a stub of what is gone to the open edge. */
function limits(scale, { base, end, tail, width }) {
	const low = base - before(base) / scale;
	return [low, Math.max(low, end + tail + 1 + (MARGIN - width) / scale)];
}

/** The scale at which everything fits. */
export const fitScale = ({ base, end, tail, width }) => Math.max(1,
	width - MARGIN - before(base)) / (end + tail + 1 - base);

/** The nearest place that shows something. `auto`: everything, as long as letters can be read. */
export function settle(place, space) {
	const fit = fitScale(space);
	const scale = place.auto ? clamp(fit, 22, 34) : clamp(place.scale, Math.min(SCALE, fit), MOST_SCALE);
	const [low, high] = limits(scale, space);
	return { ...place, scale, left: place.follow ? high : clamp(place.left, low, high) };
}

/** Pan to `left`. Whoever goes to the very end follows it. */
export const pan = (place, space, left) =>
	settle({ ...place, left, follow: left >= limits(place.scale, space)[1] - 0.5 / place.scale }, space);

/** Zoom by `factor`; what is under `x` stays there. */
export function zoom(place, space, factor, x) {
	const next = settle({ ...place, auto: false, scale: place.scale * factor }, space);
	return settle({ ...next, left: place.left + x / place.scale - x / next.scale }, space);
}

export const offsetAt = (x, place) => Math.floor(place.left + x / place.scale);
export const xOf = (offset, place) => (offset - place.left) * place.scale;

/** A ruler's step, 1, 2, 5, 10, ...: labels of this width stay apart. */
export function rulerStep(scale, label) {
	for (let ten = 1; ; ten *= 10) for (const n of [1, 2, 5]) if (n * ten * scale >= label) return n * ten;
}

// Topics told apart in a column of pixels; the last kind: not fetched.
export const KINDS = 16;

/** How many items of each kind are in each column of pixels: out[column * KINDS + kind]. */
export function bin(items, place, width, out = new Uint16Array(width * KINDS)) {
	out.fill(0);
	for (let column = 0; column < width; column++) {
		const to = Math.min(items.end, offsetAt(column + 1, place));
		let number = -1, chunk, offset = Math.max(items.base, offsetAt(column, place));
		// A sample is enough.
		for (const step = Math.max(1, (to - offset) >> 8); offset < to; offset += step) {
			const of = Math.floor(offset / CHUNK);
			if (of !== number) chunk = items.chunks.get((number = of));
			const topic = chunk ? chunk.topic[offset - of * CHUNK] : UNKNOWN;
			out[column * KINDS + (topic === UNKNOWN ? KINDS - 1 : Math.min(topic, KINDS - 2))]++;
		}
	}
	return out;
}

/** What comes after the end: waiting batches' items, then what this kernel has not sent yet. */
export const tail = (waiting, unsent) => [
	...waiting.flatMap(([id, seq, topics]) => topics.map((topic) => ({ id, seq, topic }))).slice(0, 200),
	...Array(Math.min(unsent, 12)).fill({ id: -1, topic: -1 }),
];

/**
 * Where ghosts go, below the copies that won: [{ghost, x, width, lane, also}]. Where both lanes
 * are taken, a ghost is counted in its neighbour's `also`.
 */
export function placeGhosts(ghosts, place, width) {
	const least = place.scale < 6 ? 11 : 44, free = [-Infinity, -Infinity], placed = [];
	for (const ghost of [...ghosts].sort((a, b) => a.first - b.first)) {
		const x = xOf(ghost.first, place), wide = Math.max(least, ghost.items * place.scale - 4);
		if (x + wide < 0 || x > width) continue;
		const lane = free.findIndex((end) => end <= x);
		if (lane < 0) placed.at(-1).also += ghost.copies;
		else {
			placed.push({ ghost, x, width: wide, lane, also: 0 });
			free[lane] = x + wide + 2;
		}
	}
	return placed;
}

/** What is at a pixel: {kind: "item" | "batch" | "ghost" | "tail" | "gone" | "none", ...}. */
export function hit(x, y, { rows, place, items, placed, tails }) {
	const offset = offsetAt(x, place), none = { kind: "none" }, past = offset - items.end;
	if (y >= rows.ghost) {
		const lane = Math.floor((y - rows.ghost) / rows.lane);
		const found = placed.find((each) => lane === each.lane && x >= each.x && x <= each.x + each.width);
		return found ? { kind: "ghost", ...found.ghost } : none;
	}
	if (offset < items.base) return offset < 0 ? none : { kind: "gone" };
	if (past >= 0) return tails[past] ? { kind: "tail", ...tails[past] } : none;
	const batch = y >= rows.batch - 3 && items.batch(offset);
	return batch ? { kind: "batch", ...batch } : { kind: "item", offset };
}

// ---------------------------------------------------------------- facts (pure)

/** What a reader still can read, and what is gone that it has not read. */
export const standing = (position, base, end) =>
	({ lag: Math.max(0, end - Math.max(position, base)), below: Math.max(0, base - position) });

/** Who would miss how much if everything below `upTo` went. */
export const stranded = (readers, upTo) => readers
	.filter(([, , , position, , , state]) => state === "open" && position < upTo)
	.map(([key, name, , position]) => ({ key, name, misses: upTo - position }));

/** Milliseconds until `limit` is reached, by the growth of the last 30 s; null if it is not. */
export function pace(samples, limit, now) {
	const [first, ...rest] = samples.filter(({ at }) => now - at <= 30_000), last = rest.at(-1);
	// One event is no pace.
	if (!last || now - first.at < 2e3 || last.used < first.used + 5) return null;
	return ((limit - last.used) * (now - first.at)) / (last.used - first.used);
}

/** What the whole view is: the worst that is true of it. */
export function stateOf({ stream, trouble }, silence, loop, broken) {
	if (broken || silence > 3000) return "gone";
	if (loop > 3) return "busy";
	if (trouble) return "stale";
	return !stream ? "empty" : stream.status === "RUNNING" ? "live" : "closed";
}

/**
 * Duplicates that were dropped, by batch: {key, id, seq, first, items, copies, born}. A frame
 * tells the last batches only; a ghost stays as long as the copy that won is there.
 */
export function collectGhosts(known, batches, base, born) {
	const told = new Map(), ghosts = new Map(known);
	for (const [id, seq, verdict, first, items] of batches) {
		const key = `${id}:${seq}`, copies = (told.get(key)?.copies ?? 0) + 1;
		if (verdict === "duplicate" && first !== null) told.set(key, { key, id, seq, first, items, copies, born });
	}
	for (const [key, ghost] of told) if (ghost.copies > (known.get(key)?.copies ?? 0)) ghosts.set(key, ghost);
	for (const [key, { first, items }] of ghosts) if (first + items <= base || ghosts.size > 2000) ghosts.delete(key);
	return ghosts;
}

/** Black or white: what is better to read on a colour "#rrggbb". */
export function inkOn(color) {
	const part = (at) => (parseInt(color.slice(at, at + 2), 16) / 255) ** 2.2;
	return 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5) > 0.18 ? "#000" : "#fff";
}

// ---------------------------------------------------------------- the tape, drawn
//
//      run 2 |                       seams
//      0     5    10                 ruler
//            v ann                   readers, at the edge of what they read next
//     /// [A][B][A][A] [B]: :        cells: truncated, durable, waiting
//         |_____||____|              batches
//            x #3                    ghosts: duplicates that were dropped

// Okabe and Ito's colours, which colour-blind eyes tell apart; letters tell the topics anyway.
const PALETTE = ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#0072b2", "#f0e442"];
const colorOf = (topic) => PALETTE[topic % 7];

export function rowsOf(seams) {
	const top = seams ? 16 : 0;
	return { ruler: top + 11, reader: top + 20, cell: top + 38, tall: 34, batch: top + 76, ghost: top + 97,
		lane: 20, height: top + 138 };
}

/** A canvas, in CSS pixels and the theme's colours. */
class Pen {
	constructor(canvas, width, height, ink) {
		const ratio = devicePixelRatio, ctx = canvas.getContext("2d"),
			[w, t] = [width * ratio, height * ratio].map(Math.round);
		Object.assign(this, { ctx, width, ink });
		if (canvas.width !== w || canvas.height !== t) Object.assign(canvas, { width: w, height: t });
		canvas.style.cssText = `width:${width}px;height:${height}px`;
		ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
		ctx.clearRect(0, 0, width, height);
	}

	/** A rectangle, filled, framed, or both. `alpha` is the filling's. */
	box(x, y, width, height, { fill, alpha = 1, line, thick = 1, dash = [], round = 0 }) {
		const { ctx } = this, shade = ctx.globalAlpha, inset = line ? thick / 2 : 0;
		ctx.fillStyle = fill;
		ctx.globalAlpha = shade * alpha;
		if (!round && !line) ctx.fillRect(x, y, width, height);
		else {
			ctx.beginPath();
			ctx.roundRect(x + inset, y + inset, Math.max(0, width - 2 * inset), height - 2 * inset, round);
			if (fill) ctx.fill();
		}
		ctx.globalAlpha = shade;
		if (line) this.stroke(line, thick, dash);
	}

	stroke(color, thick = 1, dash = []) {
		Object.assign(this.ctx, { strokeStyle: color, lineWidth: thick });
		this.ctx.setLineDash(dash);
		this.ctx.stroke();
	}

	path(points) {
		this.ctx.beginPath();
		points.forEach((point) => this.ctx.lineTo(...point));
	}

	hatch(x, y, width, height, color, step = 6) {
		const { ctx } = this;
		ctx.save();
		ctx.beginPath();
		ctx.rect(x, y, width, height);
		ctx.clip();
		ctx.beginPath();
		for (let at = Math.floor((x - height) / step) * step; at < x + width; at += step) {
			ctx.moveTo(at, y + height);
			ctx.lineTo(at + height, y);
		}
		this.stroke(color);
		ctx.restore();
	}

	/** Words; returns their width. */
	text(words, x, y, color, { size = 10.5, weight = 400, align = "center", code = false } = {}) {
		const { ctx, ink } = this, font = `${weight} ${size}px ${code ? ink.code : ink.font}`;
		Object.assign(ctx, { font, textAlign: align, textBaseline: "middle", fillStyle: color });
		ctx.fillText(words, x, y);
		return ctx.measureText(words).width;
	}
}

/** The theme's colours, as a canvas needs them. */
function readInk(root) {
	const style = getComputedStyle(root), of = (name) => style.getPropertyValue(`--sv-${name}`).trim();
	const names = ["ink", "soft", "faint", "card", "accent", "bad", "edge", "code"].map((name) => [name, of(name)]);
	return { font: style.fontFamily, pens: of("pens").split(" "), ...Object.fromEntries(names) };
}

/** Draw the tape; returns whether something still moves. */
function paintTape(v, p, now) {
	const layers = [
		paintGone, paintCells, paintTail, paintPreview, paintSeams, paintBatches, paintRuler, paintReaders,
			paintSelection,
	];
	for (const paint of layers) paint(v, p);
	return paintGhosts(v, p, now);
}

function paintGone({ items: { base }, place, rows: { cell, tall, batch } }, p) {
	const end = xOf(base, place) - 4, wide = STUB - 10, align = "right";
	if (!base || end <= 0) return;
	p.hatch(end - wide, cell, wide, tall, p.ink.soft, 7);
	if (end < 60) return;
	p.text(offsets(0, base), end, batch + 5, p.ink.soft, { align, code: true });
	p.text("truncated", end, batch + 18, p.ink.soft, { align });
}

/** What is durable: cells, or shares of the topics where a pixel holds more than one item. */
function paintCells(v, p, place = v.place, y = v.rows.cell, tall = v.rows.tall) {
	if (place.scale < 1) return paintBins(v, p, place, y, tall);
	const { items } = v, { scale } = place, { ctx, ink } = p, to = Math.min(items.end, offsetAt(p.width, place) + 1);
	const gap = scale < 4 ? 0 : scale < 12 ? 1 : 3, round = scale < 10 ? 0 : Math.min(6, scale / 5);
	for (let offset = Math.max(items.base, Math.floor(place.left)); offset < to; offset++) {
		const item = items.at(offset), x = xOf(offset, place) + gap / 2, wide = scale - gap,
			fill = item ? colorOf(item.topic) : ink.faint;
		ctx.globalAlpha = v.hidden.has(item?.topic) ? 0.13 : 1;
		p.box(x, y, wide, tall, { fill, round, line: item && round && ink.edge });
		if (!item) v.frame.stream.describes && paintDots(p, x + wide / 2, y, tall);
		else if (tall > 20) paintLetter(v, p, item.topic, offset, inkOn(fill));
	}
	ctx.globalAlpha = 1;
}

/** Not fetched yet. */
function paintDots(p, x, y, tall) {
	for (let at = 5; at < tall - 2; at += 7) p.box(x - 0.5, y + at, 1.3, 1.3, { fill: p.ink.soft, alpha: 0.6 });
}

function paintLetter({ letters, place, rows }, p, topic, offset, color) {
	const { scale } = place, x = xOf(offset, place) + scale / 2, y = rows.cell + rows.tall / 2 + 0.5;
	if (scale >= 14) p.text(letters[topic] ?? "?", x, y, color, { size: Math.min(13, scale / 2), weight: 600 });
}

function paintBins(v, p, place, y, tall) {
	const width = Math.ceil(p.width), used = new Float32Array(width), all = new Float32Array(width);
	if (v.bins?.length !== width * KINDS) v.bins = new Uint16Array(width * KINDS);
	bin(v.items, place, width, v.bins).forEach((n, at) => { all[at >> 4] += n; });
	for (let kind = 0; kind < KINDS; kind++) {
		const known = kind < KINDS - 1, how = { fill: known ? colorOf(kind) : p.ink.faint };
		p.ctx.globalAlpha = v.hidden.has(kind) ? 0.13 : 1;
		for (let x = 0; x < width; x++) {
			const part = v.bins[x * KINDS + kind] / all[x];
			if (!part) continue;
			p.box(x, y + used[x] * tall, 1, part * tall, how);
			used[x] += part;
			if (!known && x % 4 === 0) paintDots(p, x, y, tall);
		}
	}
	p.ctx.globalAlpha = 1;
}

const closed = ({ frame }) => frame.stream.status !== "RUNNING";

/** What is not durable yet, and the open edge where the next item goes. */
function paintTail(v, p) {
	const { rows: { cell, tall }, place, tails, items: { end } } = v, { scale } = place, { ink } = p;
	const gap = scale < 12 ? 1 : 3, round = Math.min(6, scale / 5), x = xOf(end + tails.length, place),
		wide = Math.max(10, scale - gap);
	tails.forEach(({ topic }, i) => {
		const waits = topic >= 0, color = waits ? colorOf(topic) : ink.soft;
		p.box(xOf(end + i, place) + gap / 2, cell, scale - gap, tall,
			{ fill: color, alpha: waits ? 0.16 : 0.06, line: color, thick: 1.5, dash: waits ? [4, 3] : [2, 4],
				round });
		if (waits) paintLetter(v, p, topic, end + i, ink.ink);
	});
	if (closed(v)) return p.box(x + 3, cell, 4, tall, { fill: ink.ink });
	p.path([[x + wide, cell + 1], [x + 2, cell + 1], [x + 2, cell + tall - 1], [x + wide, cell + tall - 1]]);
	p.stroke(ink.accent, 1.5);
}

function paintPreview({ preview, items: { base }, place, rows }, p) {
	if (preview === null) return;
	const { bad, card } = p.ink, to = xOf(preview, place), from = Math.max(-2, xOf(base, place));
	const part = [from, rows.cell - 3, Math.min(p.width, to) - from, rows.tall + 6];
	if (part[2] <= 0) return;
	p.box(...part, { fill: card, alpha: 0.6 });
	p.box(...part, { fill: bad, alpha: 0.1 });
	p.hatch(...part, bad);
	p.box(to - 1.5, rows.cell - 7, 2, rows.tall + 14, { fill: bad });
}

function paintSeams({ frame, place, rows }, p) {
	let free = -Infinity;
	frame.stream.seams.forEach((offset, i) => {
		const x = xOf(offset, place);
		if (x < -60 || x > p.width) return;
		p.box(x - 1, 3, 1.5, rows.batch + 9, { fill: p.ink.accent });
		if (x > free) free = x + 12 + p.text(`run ${i + 2}`, x + 5, 7, p.ink.accent, { weight: 600, align: "left" });
	});
}

/** Brackets under the items of a batch. */
function paintBatches(v, p) {
	const { items, place, tails } = v, end = Math.min(items.end + tails.length, offsetAt(p.width, place) + 1);
	const at = (offset) => (offset < items.end ? items.at(offset) : tails[offset - items.end]);
	if (place.scale < 6) return;
	for (let next, first = Math.max(items.base, Math.floor(place.left)); first < end; first = next) {
		const batch = at(first);
		for (next = first + 1; next < end && sameBatch(batch, at(next));) next++;
		if (batch?.id >= 0) paintBracket(v, p, batch, first, next, sameBatch(batch, at(first - 1)),
			sameBatch(batch, at(next)));
	}
}

function paintBracket({ ids, chosen, items, place, rows }, p, { id, seq }, first, next, before, after) {
	const y = rows.batch, left = xOf(first, place) + 3.5, right = xOf(next, place) - 3.5,
		bold = chosen?.id === id && chosen.seq === seq;
	const color = p.ink.pens[id % 6], middle = (Math.max(0, left) + Math.min(p.width, right)) / 2;
	const words = [`${short(ids[id], 7)} #${seq}`, `#${seq}`].find((each) => each.length * 6.1 < right - left + 2);
	p.path([[left, before ? y + 4 : y], [left, y + 4], [right, y + 4], [right, after ? y + 4 : y]]);
	p.stroke(color, bold ? 2.5 : 1.25, first < items.end ? [] : [3, 3]);
	if (words) p.text(words, middle, y + 12, color, { code: true, size: 10, weight: bold ? 700 : 400 });
}

function paintRuler({ items: { base, end }, place, rows, tails, selected, frame }, p) {
	const { scale } = place, { ink, soft, accent } = p.ink, wide = String(end).length * 7 + 14,
		step = rulerStep(scale, wide);
	const edge = xOf(end, place) + (tails.length || scale < 8 ? 0 : scale / 2),
		to = Math.min(end, offsetAt(p.width, place) + 1);
	const label = (at, x, color, weight) => p.text(count(at), x, rows.ruler, color, { weight, code: true });
	for (let at = Math.ceil(Math.max(base, place.left) / step) * step; at < to; at += step) {
		const x = xOf(at, place) + scale / 2;
		if (Math.abs(x - edge) > wide - 8) label(at, x, at === selected ? ink : soft, at === selected ? 700 : 400);
	}
	if (edge < p.width + 9) label(end, Math.min(edge, p.width - wide / 2 + 6), closed({ frame }) ? ink : accent,
		700);
}

/** A triangle where each reader stands: at the edge of what it reads next. */
function paintReaders({ frame, items: { base }, place, rows }, p) {
	const at = new Map(), y = rows.reader;
	for (const [, name, , position, , , state] of frame.readers) {
		const key = Math.max(position, base - 1), below = base - position;
		if (state === "open") at.set(key, [...(at.get(key) ?? []),
			short(name, 14) + (below > 0 ? `, ${below} below` : "")]);
	}
	let free = -Infinity;
	for (const [position, names] of [...at].sort((a, b) => a[0] - b[0])) {
		const below = position < base, x = below ? xOf(base, place) - STUB + 16 : xOf(position, place),
			color = below ? p.ink.bad : p.ink.ink;
		if (x < -4 || x > p.width + 4) continue;
		p.text("▼", x, y + 8, color, { size: 13 });
		const words = names.slice(0, 2).join(", ") + (names.length > 2 ? ` +${names.length - 2}` : ""),
			wide = words.length * 6.5 + 16;
		const left = x + wide > p.width ? x - wide : x + 8;
		if (left > free) free = left + 14 + p.text(words, left, y + 8, color, { weight: 600, align: "left" });
	}
}

function paintSelection({ selected, chosen, place, rows }, p) {
	const { first = selected, items = 1 } = chosen ?? {}, wide = Math.max(3, items * place.scale) + 1;
	const how = { line: chosen ? p.ink.accent : p.ink.ink, thick: 2, round: place.scale < 10 ? 1 : 7 };
	if (first !== null) p.box(xOf(first, place) - 0.5, rows.cell - 2.5, wide, rows.tall + 5, how);
}

/** Duplicates that were dropped fall to their place, below the copies that won. */
function paintGhosts(v, p, now) {
	const { cell, ghost: floor, lane: tall } = v.rows, line = p.ink.bad;
	let falling = false;
	v.placed = placeGhosts(v.ghosts.values(), v.place, p.width);
	for (const { ghost, x, width, lane, also } of v.placed) {
		const part = v.still ? 1 : clamp((now - ghost.born) / 700, 0, 1), ease = 1 - (1 - part) ** 3,
			copies = ghost.copies + also;
		const y = cell + (floor + lane * tall - cell) * ease, round = 5, thick = v.chosen?.key === ghost.key ? 2 : 1;
		falling ||= part < 1;
		p.ctx.globalAlpha = 0.3 + 0.7 * ease;
		if (width > 30) p.box(x + 1, y, width - 2, 17,
			{ fill: line, alpha: 0.1, line, dash: [3, 2.5], round, thick });
		p.text(width > 30 ? `✕ #${ghost.seq}${copies > 1 ? ` ×${copies}` : ""}` : "✕", x + width / 2, y + 9, line,
			{ weight: 600, size: 10 });
		p.ctx.globalAlpha = 1;
	}
	return falling;
}

/** The whole stream in a strip: what is gone, what is held, the window that the tape shows. */
function paintOverview(v, p) {
	const { items: { base, end }, preview } = v, { ink } = p, place = { left: 0, scale: p.width / Math.max(end, 60) };
	const x = (offset) => clamp(xOf(offset, place), 0, p.width), y = 4, tall = 16, [from, to] = v.window().map(x);
	p.hatch(0, y, x(base), tall, ink.soft, 5);
	paintCells(v, p, place, y, tall);
	if (preview !== null) p.hatch(x(base), y, x(preview) - x(base), tall, ink.bad, 5);
	for (const seam of v.frame.stream.seams) p.box(x(seam) - 1, 1, 1.5, tall + 6, { fill: ink.accent });
	for (const { first } of v.ghosts.values()) p.box(x(first), y + tall + 2, 2, 4, { fill: ink.bad });
	p.box(from, 1.5, Math.max(6, to - from), tall + 5, { line: ink.ink, thick: 1.5, round: 4 });
}

function paintTrend(canvas, trend, ink) {
	const p = new Pen(canvas, 64, 20, ink), most = Math.max(1, ...trend), last = trend.length - 1;
	p.path(trend.map((n, i) => [2 + (i / last) * 60, 17 - (n / most) * 14]));
	p.stroke(ink.accent, 1.5);
}

// ---------------------------------------------------------------- HTML, as nested lists
//
//     ["p.note", {title: "..."}, "text", ["b", "more"], condition && ["i"]]

/** Give a node these children. Each is kept by key or place, so that focus and a half-done click survive. */
function fill(node, wanted) {
	const kept = new Map([...node.childNodes].map((child) => [child.key, child]));
	let next = node.firstChild;
	wanted.forEach((want, i) => {
		if (!want) return;
		const [name, ...rest] = Array.isArray(want) ? want : ["", want];
		const props = rest[0]?.constructor === Object ? rest.shift() : {}, key = `${name} ${props.key ?? i}`;
		const child = kept.get(key) ?? make(name, key, props);
		kept.delete(key);
		if (child === next) next = next.nextSibling;
		else node.insertBefore(child, next);
		if (name) {
			dress(child, props);
			fill(child, rest);
		} else if (child.data !== want) child.data = want;
	});
	kept.forEach((child) => child.remove());
}

function make(name, key, { made }) {
	const [tag, ...classes] = name.split("."), node = tag ? document.createElement(tag) : new Text();
	node.key = key;
	if (tag) node.className = classes.map((each) => `sv-${each}`).join(" ");
	made?.(node);
	return node;
}

/** Set attributes (null and false: remove), `data-*`, listeners, and values where nobody types. */
function dress(node, props) {
	for (const [name, value] of Object.entries(props)) {
		if (name === "data") for (const key in value) dress(node, { [`data-${key}`]: value[key] });
		else if (name.startsWith("on")) node[name] = value;
		else if (name === "value") {
			if (node !== document.activeElement && node.value !== value) node.value = value;
		}
		else if (name === "each") value(node);
		else if (name === "key" || name === "made") continue;
		else if (value === false || value == null) node.removeAttribute(name);
		else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
	}
}

const button = (text, onclick, props) => ["button.btn", { type: "button", onclick, ...props }, text];

/** A button that needs the kernel. */
const command = (v, text, onclick, ok = true, props = {}) =>
	button(text, onclick, { "data-action": text.split(" ")[0].toLowerCase(), disabled: !ok || v.state === "gone",
		...props });

const field = (label, control) => ["label.field", ["span", label], control];
const whole = (text) => Math.max(0, Math.floor(Number(text)) || 0);

/** A control whose value is `v.form[name]`. */
function control(v, tag, name, props, ...options) {
	const change = ({ target }) => { v.form[name] = target.value; props.then?.(whole(target.value)); v.refresh(); };
	const number = tag === "input" && { type: "number", min: 0 }, value = number && { value: `${v.form[name]}` };
	return [tag, { ...number, name, ...props, then: null, ...value, oninput: change }, ...options];
}

const choice = (v, name, options) => control(v, "select", name, {},
	...options.map(([value, text]) => ["option", { value }, text]));

/** A panel: title, note, tools; then its body, and the line where answers appear. */
function panel(v, name, title, note, tools, ...body) {
	const { text, kind } = v.says[name] ?? {};
	return [`section.panel.${name}`, { key: name, "aria-label": title, data: { panel: name } },
		["div.bar", ["h3", title], ["span.note", note || ""], ...tools], ...body,
		text && ["p.say", { key: kind, role: kind === "error" ? "alert" : "status", data: { kind } }, text]];
}

const table = (label, heads, rows) => ["div.scroll",
	{ tabindex: 0, role: "group", "aria-label": `${label}, scrollable` },
	["table.table", { "aria-label": label }, ["thead",
		["tr", ...heads.map((head) => ["th", { scope: "col" }, head])]], ["tbody", ...rows]]];

// ---------------------------------------------------------------- panels

const MARKS = { accepted: "●", duplicate: "✕", refused: "!" };
const STATES = { empty: "not seen yet", live: "live", busy: "a cell is busy", gone: "kernel gone",
	stale: "no answer" };
const GONE = "The kernel is gone: the last picture. Run the cell again.";
const LEGEND = "dashed: stored, not applied yet · ✕ a duplicate, dropped · ▼ a reader";

function head(v) {
	const { stream, at, ui } = v.frame, { base, end } = v.items, known = stream?.describes;
	const pill = v.state === "closed" ? `closed ${stream.status}`
		: v.state === "stale" && at ? `no answer for ${span(v.age(at))}` : STATES[v.state];
	const stats = known
		? { base: count(base), end: count(end), items: count(end - base), size: bytes(stream.bytes) }
		: { base: "–", end: count(end) };
	const why = trouble(v), data = { state: v.state };
	return [["div.head", ["div.title",
		["span.name", { title: stream && `${stream.workflow_id}, run ${stream.run_id}` },
			stream ? short(stream.workflow_id, 60) : "No stream yet"],
		["span.pill", { data }, pill],
		/^https?:/.test(ui) && ["a.link", { href: ui, target: "_blank", rel: "noopener noreferrer" },
			"Temporal UI ↗"]],
	stream && ["dl.stats",
		...Object.entries(stats).map(([label, value]) => ["div", ["dt", label], ["dd", value]])]],
	why && ["p.banner", { data }, why]];
}

function trouble(v) {
	const { stream, trouble: why, at } = v.frame;
	if (v.state === "gone") return GONE;
	if (v.state === "busy") return "A cell keeps the kernel busy: the numbers wait for it.";
	if (v.state === "stale") return `${why}.${at ? ` This picture is ${span(v.age(at))} old.` : ""} ${waiting(v.waits())}`;
	return stream?.describes === false && "This host does not describe itself: only its end is known.";
}

const waiting = (n) => n > 0 && `${plural(n, "batch waits", "batches wait")} in the history: no worker has applied ${n > 1 ? "them" : "it"} yet.` || "";

/** What was chosen, an item or a batch, in words. */
function details(v) {
	const { kind, offset, first, items, id, seq, verdict, reason, answer } = v.card, item = v.items.at(offset);
	const publisher = v.ids[id ?? item?.id] ?? answer?.publisher;
	const rows = kind === "batch" ? {
		publisher, sequence: count(seq), verdict,
		offsets: !items ? "none" : first === null ? "forgotten" : offsets(first, items), reason,
	} : {
		topic: answer?.topic ?? v.topics[item?.topic] ?? "not fetched yet",
		size: bytes(answer?.size ?? item?.size ?? 0),
		publisher: publisher ?? "the workflow itself, or its batch is forgotten",
		sequence: publisher && count(answer?.sequence ?? item?.seq ?? 0),
		encoding: answer?.encoding, type: answer?.type,
	};
	const text = answer?.found ? answer.text + (answer.cut ? "\n… (cut)" : "")
		: answer ? answer.error || "not found" : "…";
	return ["div.card", { role: "region", "aria-label": "Details",
		data: { kind, offset: offset ?? first, sequence: seq, verdict,
			found: answer && `${answer.found}`, cut: answer?.cut } },
		["div.bar", ["h4", kind === "batch" ? `Batch #${seq}` : `Offset ${count(offset)}`],
			["div.tools", button("×", () => v.choose(), { "aria-label": "Close details" })]],
		["dl", ...Object.entries(rows).map(([label, words]) => words
			&& ["div", { key: label }, ["dt", label], ["dd", { title: words }, short(words, 90)]])],
		kind !== "batch" && ["pre.value", text]];
}

function itemsTable(v) {
	const { base, end } = v.items, first = Math.max(base, Math.min((v.selected ?? end) - 25, end - 50));
	return table("Items", ["offset", "topic", "size", "publisher", "sequence"],
		Array.from({ length: Math.min(50, end - first) }, (_, i) => {
			const offset = first + i, item = v.items.at(offset);
			const whose = item?.id < 0 ? ["–", "–"] : item && [short(v.ids[item.id], 16), count(item.seq)];
			const cells = item ? [short(v.topics[item.topic], 40), bytes(item.size), ...whose]
				: ["not fetched yet", "–", "–", "–"];
			return ["tr", { key: offset, data: { offset, selected: offset === v.selected || null } },
				["th", { scope: "row" }, count(offset)], ...cells.map((text) => ["td", text])];
		}));
}

function reader(v, [key, name, topics, position, , missed, state, own]) {
	const { base, end } = v.items, { lag, below } = standing(position, base, end), open = state === "open",
		of = topics.join(", ") || "all topics";
	// The lane begins with a stub for what is gone.
	const left = (x) => ({ style: `left:${x}%` }),
		x = 9 + 90 * (end > base ? clamp((position - base) / (end - base), 0, 1) : 1);
	const why = !open ? state : below ? `${count(below)} below the base: will miss ${count(below)}`
		: `at ${count(position)}${missed ? `, missed ${count(missed)}` : ""}`;
	const ask = (kind, more) => () => v.ask("readers", { kind, reader: key, ...more });
	return ["div.reader", { key, role: "listitem",
		data: { key, name, position, lag, below, missed, state, own: `${own}`, gap: open && below > 0 || null } },
		["div.who", ["b", { title: name }, short(name, 18)], ["span.note", { title: of }, short(of)]],
		["div", ["div.lane", ["i.below", { data: { base: base > 0 || null } }], ["i.lag", left(x)],
			["i.mark", left(below ? 3.5 : x)]], ["span.note", why]],
		["b.num", { title: "lag" }, open ? count(lag) : "–"],
		["canvas", { "aria-hidden": "true", each: (node) => paintTrend(node, v.trends.get(key) ?? [], v.ink) }],
		["div.tools", command(v, "Read 1", ask("read", { count: 1 }), open),
			own && command(v, "Close", ask("close"), open)]];
}

function tick(v, [id, seq, verdict, first, items, reason]) {
	const title = `batch ${seq} ${verdict}${items && first !== null ? `, offsets ${offsets(first, items)}` : ""}${reason ? `: ${reason}` : ""}`;
	return ["button.tick", { type: "button", "aria-label": title, title, data: { verdict, sequence: seq, first },
		onclick: () => v.choose({ kind: "batch", id, seq, verdict, first, items, reason }) }, MARKS[verdict] ?? "?"];
}

const COSTS = { events: ["history events", count], bytes: ["history size", bytes], signals: ["signals", count],
	updates: ["updates", count] };

/** A form that sends `content` when it is submitted. */
const form = (v, title, content, ...body) => [`form.form.${content.kind}`, { "aria-label": title,
	onsubmit: (event) => { event.preventDefault(); v.ask("playground", content); } }, ["h4", title], ...body];
const submit = (v, text, ok, props) => command(v, text, null, ok, { type: "submit", ...props });

/** Every control previews; only the button does it. */
function truncateForm(v) {
	const { base, end } = v.items, { ok, why } = v.frame.truncate ?? {}, upTo = v.preview ?? base, goes = upTo - base;
	const props = { min: base, max: end, then: (n) => v.foresee(n) };
	Object.assign(v.form, { up_to: upTo, keep: end - upTo });
	return form(v, "Truncate", { kind: "truncate", up_to: upTo },
		control(v, "input", "up_to", { ...props, type: "range", "aria-label": "Truncate up to offset" }),
		["div.line", field("up to", control(v, "input", "up_to", props)),
			field("keep last", control(v, "input", "keep", { then: (n) => v.foresee(end - n, n) })),
			submit(v, "Truncate", ok && goes > 0, { title: why })],
		["p.note", { data: { "up-to": upTo, goes } },
			goes ? `${offsets(base, goes)} would go: ${plural(goes, "item")}.`
			: "Move the slider: what would go is shaded on the tape."],
		["ul.strands", { "aria-label": "Readers left behind" },
			...(goes ? stranded(v.frame.readers, upTo) : []).map(({ key, name, misses }) =>
				["li", { key, data: { name, misses } }, `${short(name)} would miss ${count(misses)}`])],
		!ok && why && ["p.note", why]);
}

function publishForm(v) {
	const { topic, text, times, lose } = v.form, words = (name) => field(name,
		control(v, "input", name, { type: "text" }));
	return form(v, "Publish", { kind: "publish", topic, text, count: Math.max(1, whole(times)), lose_ack: lose },
		["div.line", words("topic"), words("text"), field("times", control(v, "input", "times", { min: 1 }))],
		["label.check", ["input", { type: "checkbox", name: "lose_ack",
			onchange: ({ target }) => { v.form.lose = target.checked; v.refresh(); } }], "lose the acknowledgement"],
		["div.line", submit(v, "Publish", v.state !== "closed")]);
}

function openForm(v) {
	const { from, at, gap } = v.form, begin = { oldest: v.items.base, latest: "latest", offset: whole(at) }[from];
	return form(v, "Open a reader", { kind: "open", from: begin, on_truncated: gap },
		["div.line", field("from", choice(v, "from",
			[["oldest", "the oldest"], ["latest", "the end"], ["offset", "offset …"]])),
			from === "offset" && control(v, "input", "at", { "aria-label": "Offset to open from" })],
		["div.line", field("at a gap", choice(v, "gap", [["skip", "skip it"], ["raise", "raise"]])),
			submit(v, "Open")]);
}

const PANELS = {
	tape(v) {
		const zoomBy = (factor) => () => v.move(zoom(v.place, v.space(), factor, v.width / 2));
		const put = (place) => () => v.move(settle({ ...v.place, ...place }, v.space())), { follow } = v.place;
		const chip = (topic, i) => button("", () => { if (!v.hidden.delete(i)) v.hidden.add(i); v.refresh(); },
			{ title: topic, "aria-pressed": `${!v.hidden.has(i)}`, "data-topic": topic }).concat([
			["i.badge", { style: `background:${colorOf(i)};color:${inkOn(colorOf(i))}` }, v.letters[i]],
				short(topic, 18)]);
		return panel(v, "tape", "Tape", "", [
			["div.chips", { role: "group", "aria-label": "Topics shown" }, ...v.topics.slice(0, 12).map(chip)],
			["div.tools", { role: "group", "aria-label": "Tape tools" },
				button("−", zoomBy(0.6), { "aria-label": "Zoom out" }),
				button("+", zoomBy(1.6), { "aria-label": "Zoom in" }),
				button("Fit", put({ scale: 0, auto: false, follow: true })),
				button("Follow", put({ follow: !follow }), { "aria-pressed": `${follow}` }),
				["input", { type: "number", min: 0, placeholder: "offset", "aria-label": "Go to offset",
					onchange: ({ target }) => target.value && v.goto(whole(target.value)) }],
				button("Table", () => { v.table = !v.table; v.refresh(); },
					{ "aria-pressed": `${v.table}`, title: "View as table" })]],
		["div.track", { tabindex: 0, role: "slider", "aria-label": "Tape: one cell per offset",
			"aria-valuenow": v.items.base, made: (node) => listenTape(v, node) },
			["canvas", { "aria-hidden": "true", made: (node) => { v.canvas = node; } }]],
		["div.strip", { made: (node) => listenStrip(v, node) },
			["canvas", { "aria-hidden": "true", made: (node) => { v.overview = node; } }]],
		["p.note", v.say(v.hover) ?? LEGEND], v.card && details(v), v.table && itemsTable(v));
	},

	readers(v) {
		const { readers = [] } = v.frame;
		return panel(v, "readers", "Readers", readers.length && "lag: what is left to read", [], readers.length
			? ["div", { role: "list" }, ...readers.map((row) => reader(v, row))]
			: ["p.note", "No reader is open. In a cell: ", ["code", "reader = client.subscribe()"],
				", or in the playground."]);
	},

	dedup(v) {
		const { publishers = [], publishers_more: more, batches = [] } = v.frame,
			dropped = publishers.reduce((sum, row) => sum + row[3], 0);
		const row = ([id, seq, accepted, dropped, refused, seen]) => {
			const whose = v.ids.indexOf(id), last = batches.filter((batch) => batch[0] === whose).slice(-16);
			return ["tr", { key: id, data: { publisher: id, sequence: seq, accepted, dropped, refused } },
				["th", { scope: "row", title: id }, ["i.dot", { style: `background:${v.ink.pens[whose % 6]}` }],
					short(id, 10)],
				...[seq, accepted, dropped, refused].map((n) => ["td", count(n)]),
				["td", `${span(v.age(seen))} ago`], ["td", ...last.map((batch) => tick(v, batch))]];
		};
		return panel(v, "dedup", "Publishers", publishers.length
			&& `${plural(publishers.length, "publisher")}${more ? ` and ${count(more)} more` : ""}, ${plural(dropped, "duplicate")} dropped`, [], publishers.length
			? table("Publishers", ["publisher", "sequence", "accepted", "dropped", "refused", "last seen",
				"last batches"], publishers.map(row))
			: ["p.note", "Nobody has published from outside yet."]);
	},

	cost(v) {
		const { cost, stream } = v.frame, title = "Cost of this run", kinds = Object.entries(COSTS);
		if (!cost) return panel(v, "cost", title, "", [], ["p.note", "The run is not known yet."]);
		const paces = v.state === "closed" ? [] : kinds.map(([kind, [words]]) => [pace(v.costs[kind], cost[kind][1], performance.now()), words]);
		const [left, what] = paces.filter(([ms]) => ms !== null).sort((a, b) => a[0] - b[0])[0] ?? [];
		return panel(v, "cost", title, `run ${(stream?.seams.length ?? 0) + 1}, began ${span(v.age(cost.run_began_ms))} ago`, [],
			...kinds.map(([kind, [words, format]]) => {
				const [used, limit] = cost[kind], mark = cost.suggested[kind],
					says = `${format(used)} / ${format(limit)}`;
				return ["div.cost-row", { data: { cost: kind, used, limit,
					high: used > Math.min(mark ?? limit, limit * 0.8) || null } },
					["span.note", words], ["span.num", says],
					["div.meter", { role: "img", "aria-label": `${words}: ${says}` },
						["i", { style: `width:${clamp((used / limit) * 100, 0.6, 100)}%` }],
						mark && ["u", { style: `left:${(mark / limit) * 100}%`,
							title: `continue as new from ${format(mark)} on` }]]];
			}), ["p.note.pace", { data: { "left-ms": left && Math.round(left) } }, left === undefined
				? "From the mark on, the server suggests to continue as new."
					: `At this pace the run's limit of ${what} is ${span(left)} away.`]);
	},

	background(v) {
		const waits = v.waits(), fine = v.state === "live" || v.state === "closed" || !v.frame.at;
		const act = (name, action) => command(v, action[0].toUpperCase() + action.slice(1),
			() => v.ask("background", { kind: "part", name, action }));
		const part = ([name, kind, pid, state, detail, allowed]) => ["div.part",
			{ key: name, role: "listitem", data: { part: name, kind, pid, state } }, ["i.dot"],
			["div.who", ["b", short(name, 30)], ["span.note", { title: detail },
				[state, pid && `pid ${pid}`, short(detail, 60)].filter(Boolean).join(" · ")]],
			["div.tools", ...["pause", "resume", "kill", "restart"]
				.map((action) => allowed.includes(action) && act(name, action))]];
		return panel(v, "background", "Background", fine ? "" : `numbers are ${span(v.age(v.frame.at))} old`, [],
			["div", { role: "list" }, ...(v.frame.parts ?? []).map(part)],
				waits > 0 && ["p.note.waits", { data: { waiting: waits } }, waiting(waits)]);
	},

	playground(v) {
		const reset = command(v, "Reset", () => v.ask("playground", { kind: "reset" }));
		return panel(v, "playground", "Playground", "", [v.options.reset && ["div.tools", reset]],
			["div.forms", truncateForm(v), publishForm(v), openForm(v)]);
	},
};

// ---------------------------------------------------------------- mouse, wheel and keys

function listenTape(v, node) {
	let drag = null;
	const at = (event) => event.clientX - node.getBoundingClientRect().left;
	const find = (event) => hit(at(event), event.clientY - node.getBoundingClientRect().top, v);
	const hover = (found) => {
		if (v.say(found) !== v.say(v.hover)) v.refresh();
		v.hover = found;
	};
	Object.assign(node, {
		onpointerdown(event) {
			if (event.button) return;
			drag = { x: at(event), left: v.place.left, moved: false };
			node.setPointerCapture(event.pointerId);
		},
		onpointermove(event) {
			if (!drag) return hover(find(event));
			drag.moved ||= Math.abs(at(event) - drag.x) > 4;
			if (drag.moved) v.move(pan(v.place, v.space(), drag.left - (at(event) - drag.x) / v.place.scale));
		},
		onpointerup(event) {
			if (drag && !drag.moved) v.choose(find(event));
			drag = null;
		},
		onpointercancel() { drag = null; },
		onpointerleave: () => hover(null),
		onkeydown: (event) => onKey(v, event),
		onwheel(event) {
			const { ctrlKey, metaKey, shiftKey, deltaX, deltaY } = event, { left, scale } = v.place;
			if (ctrlKey || metaKey) v.move(zoom(v.place, v.space(), Math.exp(-clamp(deltaY, -60, 60) / 90),
				at(event)));
			else if (shiftKey || Math.abs(deltaX) > Math.abs(deltaY)) v.move(pan(v.place, v.space(),
				left + (deltaX || deltaY) / scale));
			// It scrolls the page.
			else return;
			event.preventDefault();
		},
	});
}

function listenStrip(v, node) {
	const jump = ({ clientX }) => {
		const middle = ((clientX - node.getBoundingClientRect().left) / v.width) * Math.max(v.items.end, 60);
		v.move(pan(v.place, v.space(), middle - v.width / v.place.scale / 2));
	};
	node.onpointerdown = (event) => { node.setPointerCapture(event.pointerId); jump(event); };
	node.onpointermove = (event) => event.buttons && jump(event);
}

function onKey(v, event) {
	const { base, end } = v.items, at = v.selected ?? end,
		page = Math.max(1, Math.floor(v.width / v.place.scale) - 1);
	const to = {
		ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - page,
			PageUp: at + page,
		Home: base, End: end - 1, Enter: at,
	}[event.key];
	if (event.key === "Escape") v.choose();
	else if (to !== undefined && end > base) v.select(clamp(to, base, end - 1), event.key === "Enter" || !!v.card);
	else return;
	event.preventDefault();
}

// ---------------------------------------------------------------- the view

// Ms between two ranges, at least.
const PAUSE = 60;

/**
 * One picture on the page. It hears frames and answers at once, in a hidden tab too; it draws in
 * one animation frame after a change, and only while it can be seen.
 */
class View {
	constructor(model, el) {
		Object.assign(this, {
			model, id: crypto.randomUUID?.() ?? `${Math.random()}`, options: model.get("options"),
				items: new Items(), pending: new Map(),
			says: {}, asks: 0, visible: false, table: false, heard: performance.now(), loop: 0, broken: false,
				state: "empty",
			width: 600, nextFetch: 0, lastAsk: 0, over: new AbortController(), live: "",
			form: { topic: "demo", text: "hello", times: 1, lose: false, from: "oldest", at: 0, gap: "skip" },
		});
		this.forget();
		this.root = make("div", "", {});
		dress(this.root, { class: "sv", role: "group", "aria-label": "Stream view",
			"data-lm-suppress-shortcuts": true });
		el.append(this.root);
		this.listen();
		const saved = model.get("frame");
		this.hear(saved, clamp(Date.now() - (saved?.now ?? 0), 0, 864e5));
		this.watch();
	}

	/** Begin with nothing: it is another stream. */
	forget() {
		this.items.clear();
		Object.assign(this, {
			frame: {}, topics: [], ids: [], letters: [], hidden: new Set(), ghosts: new Map(), placed: [],
				tails: [], trends: new Map(),
			costs: {}, place: { left: 0, scale: SCALE, follow: true, auto: true }, rows: rowsOf(0),
			selected: null, chosen: null, card: null, preview: null, keeping: null, hover: null, asked: null,
		});
	}

	/** Listen until `close`. */
	listen() {
		const { signal } = this.over, on = (target, event, listener) => target.addEventListener(event, listener,
			{ signal });
		const until = (undo) => signal.addEventListener("abort", undo);
		const hear = (event, listener) => {
			this.model.on(event, listener);
			until(() => this.model.off(event, listener));
		};
		const observe = (observer, target, options) => {
			observer.observe(target, options);
			until(() => observer.disconnect());
		};
		hear("change:frame", () => this.hear(this.model.get("frame"), 0));
		hear("msg:custom", (content, buffers) => this.onMessage(content, buffers));
		// JupyterLab's own keys (A, B, D D ...) are not meant while one types here.
		for (const key of ["keydown", "keypress", "keyup"]) on(this.root, key, (event) => event.stopPropagation());
		on(document, "visibilitychange", () => this.look(this.intersects));
		observe(new IntersectionObserver((seen) => this.look(seen.at(-1).isIntersecting)), this.root);
		observe(new ResizeObserver(() => this.touch()), this.root);
		observe(new MutationObserver(() => { this.ink = null; this.refresh(); }), document.body,
			{ attributes: true });
		let seconds = 0;
		const clock = setInterval(() => this.tick(++seconds), 1000);
		until(() => clearInterval(clock));
	}

	close() {
		this.visible = false;
		this.watch(true);
		this.over.abort();
		[this.timer, this.lost, this.asking].forEach(clearTimeout);
		cancelAnimationFrame(this.raf);
		this.root.remove();
	}

	// -------------------------------------------------------- hearing

	/** Take a frame; `late`: how long ago it was made, if it was saved with the page. */
	hear(frame, late) {
		if (!frame?.v) return this.refresh();
		const now = performance.now(), first = frame.epoch !== this.epoch, { stream, items } = frame;
		if (first) this.forget();
		Object.assign(this, { frame, epoch: frame.epoch, framed: now, heard: now, clock: frame.now + late - now });
		this.name(frame);
		if (stream) this.items.bound(stream.base, stream.end);
		if (items) this.items.merge(items.first, items.topic, items.size, ...expandRuns(items.runs));
		this.ghosts = collectGhosts(this.ghosts, frame.batches, this.items.base, first ? -1e9 : now);
		this.tails = tail(frame.waiting, frame.unsent);
		this.sample(now);
		this.changed();
	}

	name({ topics, ids }) {
		if (topics.length > this.topics.length) Object.assign(this, { topics, letters: letters(topics) });
		if (ids.length > this.ids.length) this.ids = ids;
	}

	/** Keep what trends and paces are made of. */
	sample(now) {
		const { readers, cost } = this.frame, { base, end } = this.items, before = this.trends;
		if (!(now - this.sampled < 400)) {
			this.sampled = now;
			this.trends = new Map(readers.map(([key, , , position]) => [key,
				[...(before.get(key) ?? []), standing(position, base, end).lag].slice(-60)]));
		}
		for (const kind in cost ? COSTS : {}) {
			const used = cost[kind][0], seen = this.costs[kind] ?? [];
			// Less is used than before: it is a new run.
			this.costs[kind] = [...seen.filter((each) => now - each.at < 30_000 && each.used <= used),
				{ at: now, used }];
		}
	}

	onMessage(content, buffers) {
		const { kind, id } = content, answer = this.pending.get(id);
		Object.assign(this, { heard: performance.now(), broken: false });
		this.pending.delete(id);
		if (kind === "beat") this.loop = content.loop;
		else answer?.(content, buffers);
		this.judge();
	}

	onRange({ kind, epoch, first, count: size, base, end, topics, ids }, buffers) {
		const now = performance.now();
		let fresh = 0;
		this.asked = null;
		clearTimeout(this.lost);
		if (kind === "range" && epoch === this.epoch) {
			this.name({ topics, ids });
			this.items.bound(base, end);
			if (size) fresh = this.items.merge(first, ...columns(buffers));
		}
		// Longer if it brought little, so that the next brings more, or if frames come too.
		this.nextFetch = now + (!fresh ? 1000 : fresh < CHUNK / 4 ? 300 : now - this.framed < 250 ? 110 : PAUSE);
		this.changed();
	}

	/** What is known has changed. */
	changed() {
		const { base, end, fetched } = this.items;
		if (this.selected !== null && this.selected < base) this.choose();
		if (this.keeping !== null) this.preview = end - this.keeping;
		if (this.preview <= base) this.preview = this.keeping = null;
		dress(this.root, { data: { rev: this.frame.rev, epoch: this.epoch, base, end, fetched } });
		this.judge();
		this.refresh();
		this.fetchSoon();
	}

	// -------------------------------------------------------- asking

	send(content) {
		try {
			this.model.send(content);
		} catch {
			this.broken = true;
			this.judge();
		}
		return !this.broken;
	}

	watch(gone = false) { this.send({ kind: "watch", view: this.id, visible: this.visible, gone }); }

	/** Send something with an id; `then` gets the answer. */
	call(content, then) {
		const id = `${this.id}:${++this.asks}`;
		this.pending.set(id, then);
		return this.send({ ...content, id });
	}

	/** Send a command; its answer appears in the panel. */
	ask(name, content) {
		const say = (text, kind) => { this.says[name] = { text: short(text, 600), kind }; this.refresh(); };
		say("…", "wait");
		this.keeping = null;
		if (!this.call(content, ({ ok, text }) => say(text, ok ? "ok" : "error"))) say(GONE, "error");
	}

	/** Fetch what is missing, one range at a time, only while somebody looks. What is in view does not wait. */
	fetchSoon(urgent) {
		if (this.asked || !this.visible || this.state === "gone" || !this.frame.stream?.describes) return;
		if (urgent) this.nextFetch = Math.min(this.nextFetch, this.lastAsk + PAUSE);
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.backfill(), Math.max(0, this.nextFetch - performance.now()));
	}

	backfill() {
		const range = nextRange(this.items, ...this.window());
		if (!range || this.asked || !this.visible) return;
		Object.assign(this, { asked: range, lastAsk: performance.now() });
		// It was lost.
		this.lost = setTimeout(() => { this.asked = null; this.fetchSoon(); }, 3000);
		this.call({ kind: "range", ...range }, (answer, buffers) => this.onRange(answer, buffers));
	}

	// -------------------------------------------------------- what is true now

	space() { return { base: this.items.base, end: this.items.end, tail: this.tails.length, width: this.width }; }

	/** The offsets in view. */
	window() { return [Math.floor(this.place.left), this.place.left + this.width / this.place.scale]; }

	/** Milliseconds since a moment of the kernel's clock. */
	age(moment) { return Math.max(0, this.clock + performance.now() - moment); }

	waits() { return (this.frame.waiting?.length ?? 0) + (this.frame.waiting_more ?? 0); }

	judge() {
		const state = stateOf(this.frame, performance.now() - this.heard, this.loop, this.broken);
		if (state !== this.state) this.refresh();
		this.state = state;
	}

	tick(seconds) {
		if (!this.visible) return;
		this.judge();
		if (seconds % 10 === 0) this.watch();
		if (seconds % 6 === 1) this.live = this.summary();
		// For the ages; no animation frame.
		if (this.ink) this.fill();
	}

	summary() {
		const { base, end } = this.items, { readers = [] } = this.frame, state = STATES[this.state] ?? "closed";
		return `${plural(end - base, "item")}, offsets ${base} to ${end}, ${plural(readers.length, "reader")}, ${state}`;
	}

	/** What is at a place of the tape, in words. */
	say(found) {
		if (!found || found.kind === "none") return null;
		const { kind, offset, seq, first, items, topic } = found, item = this.items.at(offset);
		if (kind === "gone") return `${offsets(0, this.items.base)} truncated: nobody can read them any more`;
		if (kind === "tail") return topic < 0 ? "published here, not acknowledged yet"
			: `batch #${seq} is stored, not applied yet`;
		if (kind === "batch") return `batch #${seq}: ${plural(items, "item")}, offsets ${offsets(first, items)}`;
		if (kind === "ghost") return `batch #${seq} came again and was dropped; the copy that won: ${offsets(first, items)}`;
		if (!item) return `offset ${count(offset)}, not fetched yet`;
		const whose = item.id < 0 ? "" : `, publisher ${short(this.ids[item.id], 10)} #${item.seq}`;
		return `offset ${count(offset)}, ${short(this.topics[item.topic], 40)}, ${bytes(item.size)}${whose}`;
	}

	// -------------------------------------------------------- moving and choosing

	move(place) {
		if (place.follow !== this.place.follow) this.refresh();
		this.place = place;
		this.touch();
		this.fetchSoon(this.items.lastHole(...this.window()) >= 0);
	}

	/** Bring offsets into view, if they are not. */
	reveal(first, items = 1) {
		const [from, to] = this.window(), room = to - from;
		if (first <= from || first + items >= to) this.move(pan(this.place, this.space(),
			items < room ? first - (room - items) / 2 : first - 1));
	}

	goto(offset) {
		if (this.place.scale < 8) this.place = { ...this.place, scale: SCALE, auto: false };
		this.select(clamp(offset, this.items.base, this.items.end - 1), !!this.card);
	}

	select(offset, open) {
		const card = open ? { kind: "item", offset } : null;
		Object.assign(this, { selected: offset, chosen: null, card });
		this.reveal(offset);
		this.refresh();
		// Whoever holds an arrow key down means the last item.
		clearTimeout(this.asking);
		if (open) this.asking = setTimeout(() => this.call({ kind: "item", offset },
			(answer) => { card.answer = answer; this.refresh(); }), 90);
	}

	/** What a click found: an item, a batch, or nothing. */
	choose(found = {}) {
		if (found.kind === "item") return this.select(found.offset, true);
		const ghost = found.kind === "ghost", batch = ghost || found.kind === "batch" ? found : null;
		const { first, items } = batch ?? {}, there = items > 0 && first !== null && first >= this.items.base;
		const card = batch && { verdict: ghost ? "duplicate" : "accepted", ...batch, kind: "batch" };
		Object.assign(this, { selected: null, chosen: there ? batch : null, card });
		if (there) this.reveal(first, items);
		this.refresh();
	}

	/** Preview a truncation. `keeping`: so many stay, while the stream grows. */
	foresee(upTo, keeping = null) {
		Object.assign(this, { preview: clamp(upTo, this.items.base, this.items.end), keeping });
		this.refresh();
	}

	// -------------------------------------------------------- drawing

	/** The canvas is out of date. */
	touch() { if (this.visible) this.raf ||= requestAnimationFrame((now) => this.draw(now)); }

	/** Everything is. */
	refresh() {
		this.old = true;
		this.touch();
	}

	look(intersects) {
		const before = this.visible;
		this.visible = !!(this.intersects = intersects) && document.visibilityState === "visible";
		if (this.visible === before) return;
		// To a view that nobody sees the kernel may have fallen silent.
		if (this.state !== "gone") this.heard = performance.now();
		this.watch();
		this.refresh();
		this.fetchSoon();
	}

	draw(now) {
		this.raf = 0;
		if (!this.visible) return;
		if (!this.ink) this.wear();
		if (this.old) this.fill();
		if (this.canvas && this.frame.stream && this.paint(now)) this.touch();
		dress(this.root, { data: { painted: this.frame.rev } });
	}

	fill() {
		this.old = false;
		dress(this.root, { data: { state: this.state, follow: this.place.follow + "", selected: this.selected } });
		fill(this.root, [...head(this), ["div.panels", ...this.options.panels.map((name) => PANELS[name]?.(this))],
			["div.live", { role: "status", "aria-live": "polite" }, this.live]]);
	}

	/** Draw the tape, and tell screen readers and tests what it shows. */
	paint(now) {
		const { items: { base, end }, ink, frame } = this, track = this.canvas.parentNode;
		const last = Math.max(base, end - 1), at = this.selected ?? last;
		this.width = track.clientWidth;
		this.rows = rowsOf(frame.stream.seams.length);
		this.place = settle(this.place, this.space());
		const moves = paintTape(this, new Pen(this.canvas, this.width, this.rows.height, ink), now),
			[from, to] = this.window();
		paintOverview(this, new Pen(this.overview, this.width, 28, ink));
		dress(track, {
			"aria-valuemin": base, "aria-valuemax": last, "aria-valuenow": at,
				"aria-valuetext": end > base ? this.say({ offset: at }) : "no items",
			data: { first: Math.max(base, from), last: Math.min(last, Math.floor(to)),
				scale: this.place.scale.toFixed(3),
				ghosts: this.ghosts.size, waiting: this.tails.filter(({ topic }) => topic >= 0).length,
					unsent: frame.unsent },
		});
		return moves;
	}

	/** Take the page's theme. */
	wear() {
		const told = document.body.dataset.jpThemeLight,
			[r, g, b] = getComputedStyle(this.root).backgroundColor.match(/\d+/g);
		const dark = told ? told === "false" : +r + +g + +b < 380;
		dress(this.root, { data: { theme: dark ? "dark" : "light" } });
		Object.assign(this, { ink: readInk(this.root),
			still: matchMedia("(prefers-reduced-motion: reduce)").matches, old: true });
	}
}

function render({ model, el }) {
	const view = new View(model, el);
	return () => view.close();
}

export default { render };
