// The live view of a stream, in a page.
//
//     kernel --frame (trait), answers (messages)--> [ View ] --commands (model.send)--> kernel
//                                                     |
//                         Items: what is known of each offset --> canvas tape, HTML panels
//
// Hears, asks, and decides when to draw. Pure and tested in node: words, items, geometry, facts.
// Drawn on the canvas: paint. HTML: panels. Nothing here writes a trait, and text from outside
// becomes text, never markup.

import { h, render } from "preact";
import { collectGhosts, stateOf } from "./facts.js";
import { SCALE, pan, rowsOf, settle, tail } from "./geometry.js";
import { CHUNK, Items, columns, expandRuns, nextRange } from "./items.js";
import { Pen, paintOverview, paintTape, placeReaders, readerLanes } from "./paint.js";
import { App, GONE, STATES, listens } from "./panels.jsx";
import { bytes, clamp, count, offsets, plural, short } from "./words.js";

/**
 * @typedef {import("./facts.js").Frame} Frame
 * @typedef {import("./geometry.js").Hit} Hit
 * @typedef {{id: number, panel: string, at: Date, text: string, kind: "wait" | "ok" | "error", doing: string}} Entry
 * @typedef {{kind: "item" | "batch", offset?: number, first?: number | null, items?: number, id?: number,
 *   seq?: number, verdict?: string, reason?: string, answer?: any}} Card
 */

/** Ms between two ranges, at least. */
const PAUSE = 60;
/** Values kept; asked for at once; entries of the log kept. */
const VALUES = 4000, AT_ONCE = 200, LOG = 40;

/**
 * One picture on the page. It hears frames and answers at once, in a hidden tab too; it draws in
 * one animation frame after a change, and only while it can be seen.
 */
export class View {
	// What is known of one stream; `forget` begins anew.
	/** @type {Items} */ items;
	/** @type {Frame} */ frame;
	/** @type {string[]} */ topics;
	/** @type {string[]} */ letters;
	/** @type {string[]} */ ids;
	/** Publishers' names, by the index of their ids. @type {Record<string, string>} */ names;
	/** @type {Set<number>} */ hidden;
	/** @type {Map<string, import("./geometry.js").Ghost>} */ ghosts;
	/** @type {import("./geometry.js").PlacedGhost[]} */ placed;
	/** @type {import("./geometry.js").Tail[]} */ tails;
	/** @type {Map<string, number[]>} */ trends;
	/** @type {Record<string, {at: number, used: number}[]>} */ costs;
	/** Values by offset: in a row, and as running text. @type {Map<number, [string, string | null]>} */ values;
	/** @type {Entry[]} */ log;
	/** @type {import("./geometry.js").Place} */ place;
	/** @type {import("./geometry.js").Rows} */ rows;
	/** @type {number} */ width;
	/** @type {number} */ sampled;
	/** @type {boolean} */ askedValues;
	/** @type {number | null} */ selected;
	/** @type {number | null} */ preview;
	/** @type {number | null} */ keeping;
	/** @type {any} */ chosen;
	/** @type {Card | null} */ card;
	/** @type {Hit | null} */ hover;
	/** @type {{first: number, count: number} | null} */ asked;

	/** @param {any} model @param {HTMLElement} el */
	constructor(model, el) {
		this.model = model;
		this.id = crypto.randomUUID?.() ?? `${Math.random()}`;
		/** @type {{panels: string[], reset: boolean, palette: string[], token: string}} */
		this.options = model.get("options");
		this.palette = this.options.palette;
		/** @type {Map<string, (content: any, buffers: DataView[]) => void>} */
		this.pending = new Map();
		this.asks = 0;
		this.visible = this.intersects = false;
		this.heard = this.framed = performance.now();
		this.clock = this.loop = 0;
		this.broken = false;
		this.state = "empty";
		this.nextFetch = this.nextValues = this.lastAsk = 0;
		this.over = new AbortController();
		/** What a screen reader is told now and then. */
		this.live = "";
		this.show = { table: false, text: false, legend: false, large: false, topics: false };
		/** @type {Record<string, any>} */
		this.form = { topic: "demo", text: "hello", times: "1", lose: false, from: "oldest", at: "0", gap: "skip", count: "1", rate: "2" };
		/** The field that somebody types in. */
		this.typing = "";
		/** What is asked before it is done; what is explained. */
		this.sure = "";
		this.help = "";
		this.old = true;
		this.still = false;
		this.raf = 0;
		this.late = false;  // the tape waits for the next frame
		/** @type {import("./paint.js").Ink | null} */
		this.ink = null;
		/** @type {HTMLCanvasElement | null} */
		this.canvas = null;
		/** @type {HTMLCanvasElement | null} */
		this.overview = null;
		/** @type {number | undefined} */
		this.epoch = undefined;
		/** @type {ReturnType<typeof setTimeout> | undefined} */
		this.timer = this.lost = this.asking = undefined;
		/** @type {number | null} */
		this.scrolled = null;
		this.width = 600;
		this.forget();
		this.root = document.createElement("div");
		dress(this.root, { class: "sv", role: "group", "aria-label": "Stream view" });
		this.hide = document.createElement("style");
		this.hide.textContent = `.jp-OutputArea-child:not(:has(.sv)):has(.sv-of-${this.options.token}),.sv-of-${this.options.token}{display:none}`;
		el.append(this.hide, this.root);
		this.refs = listens(this);
		this.listen();
		const saved = model.get("frame");
		this.hear(saved, clamp(Date.now() - (saved?.now ?? 0), 0, 864e5));
		this.wear();
		this.fill();
		this.watch();
	}

	/** Begin with nothing: it is another stream. */
	forget() {
		this.items = new Items();
		this.frame = /** @type {any} */ ({ readers: [], publishers: [], batches: [], parts: [], stream: null });
		this.topics = this.letters = this.ids = [];
		this.names = {};
		this.hidden = new Set();
		this.ghosts = new Map();
		this.placed = [];
		this.tails = [];
		this.trends = new Map();
		this.costs = {};
		this.values = new Map();
		// What led here stays.
		this.log = this.log?.filter(({ doing }) => doing === "reset") ?? [];
		this.place = { left: 0, scale: SCALE, follow: true, auto: true };
		this.rows = rowsOf(false, 0);
		this.sampled = -1e9;
		this.askedValues = false;
		this.selected = this.preview = this.keeping = this.chosen = this.card = this.hover = this.asked = null;
	}

	// -------------------------------------------------------- what a tape shows (paint.js: Scene)

	get stream() { return /** @type {import("./facts.js").Stream} */ (this.frame.stream); }

	get readers() { return this.frame.readers.filter(({ state }) => state === "open"); }

	/** Where one can take hold of the base. */
	get edge() {
		const { base, end } = this.items, ok = this.frame.truncate?.ok && this.state !== "closed" && this.place.scale >= 4;
		return ok && end > base ? this.preview ?? base : null;
	}

	/** A publisher's name, or the beginning of its id. */
	who = (/** @type {number} */ id, most = 10) =>
		id < 0 ? (id < -1 ? "one of many" : "–") : short(this.names[id] ?? this.ids[id], most);

	// -------------------------------------------------------- listening

	/** Listen until `close`. */
	listen() {
		const { signal } = this.over;
		/** @param {EventTarget} target @param {string} event @param {(event: any) => void} listener @param {boolean} [capture] */
		const on = (target, event, listener, capture) => target.addEventListener(event, listener, { signal, capture });
		/** @param {() => void} undo */
		const until = (undo) => signal.addEventListener("abort", undo);
		/** @param {string} event @param {(...args: any[]) => void} listener */
		const hear = (event, listener) => {
			this.model.on(event, listener);
			until(() => this.model.off(event, listener));
		};
		/** @param {{observe: Function, disconnect: () => void}} observer @param {Node} target @param {object} [options] */
		const observe = (observer, target, options) => {
			observer.observe(target, options);
			until(() => observer.disconnect());
		};
		hear("change:frame", () => this.hear(this.model.get("frame"), 0));
		hear("msg:custom", (content, buffers) => this.onMessage(content, buffers));
		// JupyterLab's plain keys (A, B, D D ...) are not meant while one types here; Ctrl+S is.
		for (const key of ["keydown", "keypress", "keyup"]) {
			on(window, key, (event) => this.root.contains(event.target)
				&& this.root.toggleAttribute("data-lm-suppress-shortcuts", isOurs(event)), true);
			on(this.root, key, (event) => isOurs(event) && event.stopPropagation());
		}
		on(document, "visibilitychange", () => this.look(this.intersects));
		for (const query of ["(forced-colors: active)", "(prefers-color-scheme: dark)", "(prefers-reduced-motion: reduce)"])
			on(matchMedia(query), "change", () => this.rewear());
		observe(new IntersectionObserver((seen) => this.look(!!seen.at(-1)?.isIntersecting)), this.root);
		observe(new ResizeObserver(() => this.measure()), this.root);
		observe(new MutationObserver(() => this.rewear()), document.body, { attributes: true });
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
		render(null, this.root);
		this.root.remove();
		this.hide.remove();
	}

	// -------------------------------------------------------- hearing

	/** Take a frame; `late`: how long ago it was made, if it was saved with the page. @param {Frame | undefined} frame @param {number} late ms */
	hear(frame, late) {
		if (!frame?.v) return this.refresh();
		const now = performance.now(), first = frame.epoch !== this.epoch, { stream, items } = frame;
		if (first) this.forget();
		Object.assign(this, { frame, epoch: frame.epoch, framed: now, heard: now, clock: frame.now + late - now });
		this.name(frame);
		if (stream) this.items.bound(stream.base, stream.end);
		if (items) {
			const [id, seq] = expandRuns(items.runs);
			this.items.merge(items.first, items.topic, items.size, id, seq);
		}
		this.ghosts = collectGhosts(this.ghosts, frame.batches, this.items.base, first ? -1e9 : now);
		this.tails = tail(frame.waiting, frame.unsent);
		this.sample(now - late);
		this.changed();
	}

	/** Take the tables of names, which only grow. @param {Pick<Frame, "topics" | "letters" | "ids" | "who">} tables */
	name({ topics, letters, ids, who }) {
		if (topics.length > this.topics.length) Object.assign(this, { topics, letters });
		if (ids.length > this.ids.length) this.ids = ids;
		this.names = who;
	}

	/** Keep what trends and paces are made of. @param {number} now */
	sample(now) {
		const { readers, cost } = this.frame, before = this.trends;
		if (now - this.sampled >= 400) {
			this.sampled = now;
			this.trends = new Map(readers.map(({ key, lag }) => [key, [...(before.get(key) ?? []), lag].slice(-60)]));
		}
		for (const kind of cost ? ["events", "bytes", "signals", "updates"] : []) {
			const used = cost[kind][0], seen = this.costs[kind] ?? [];
			if (used === null) continue;
			// Less is used than before: it is a new run.
			this.costs[kind] = [...seen.filter((each) => now - each.at < 30_000 && each.used <= used), { at: now, used }];
		}
	}

	/** @param {any} content @param {DataView[]} buffers */
	onMessage(content, buffers) {
		const { kind, id } = content, answer = this.pending.get(id);
		this.heard = performance.now();
		this.broken = false;
		if (kind !== "note") this.pending.delete(id);
		if (kind === "beat") this.loop = content.loop;
		else answer?.(content, buffers);
		this.judge();
	}

	/** @param {any} answer @param {DataView[]} buffers */
	onRange({ kind, epoch, first, count: size, base, end, ...tables }, buffers) {
		const now = performance.now();
		let fresh = 0;
		this.asked = null;
		clearTimeout(this.lost);
		if (kind === "range" && epoch === this.epoch) {
			this.name(tables);
			this.items.bound(base, end);
			const [topic, sizes, id, seq] = size ? columns(buffers) : [];
			if (size) fresh = this.items.merge(first, topic, sizes, id, seq);
		}
		// Longer if it brought little, so that the next brings more, or if frames come too.
		this.nextFetch = now + (!fresh ? 1000 : fresh < CHUNK / 4 ? 300 : now - this.framed < 250 ? 110 : PAUSE);
		this.changed();
	}

	/** What is known has changed. */
	changed() {
		const { base, end, fetched } = this.items;
		if (this.selected !== null && this.selected < base) this.choose();
		// So many may be more than there are: then nothing goes yet.
		if (this.keeping !== null) this.preview = end - this.keeping;
		if (this.preview !== null && this.preview <= base) this.preview = null;
		dress(this.root, { data: { rev: this.frame.rev, epoch: this.epoch, base, end, fetched } });
		this.judge();
		this.refresh();
		this.fetchSoon();
	}

	// -------------------------------------------------------- asking

	/** @param {any} content */
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

	/** Send something with an id; `then` gets the answer. @param {any} content @param {(answer: any, buffers: DataView[]) => void} then */
	call(content, then) {
		const id = `${this.id}:${++this.asks}`;
		this.pending.set(id, then);
		return this.send({ ...content, id });
	}

	/** Send a command; what becomes of it appears in the panel's log. @param {string} panel @param {any} content @param {string} doing */
	ask(panel, content, doing) {
		/** @type {Entry} */
		const entry = { id: ++this.asks, panel, at: new Date(), text: "…", kind: "wait", doing };
		/** @param {string} text @param {Entry["kind"]} kind */
		const say = (text, kind) => {
			Object.assign(entry, { text: short(text, 600), kind });
			if (doing === "reset" && kind === "ok") this.log = [entry];
			this.refresh();
		};
		this.log = [entry, ...this.log].slice(0, LOG);
		if (content.kind === "truncate") this.keeping = null;
		this.sure = "";
		if (!this.call(content, ({ kind, ok, text }) => say(text, kind === "note" ? "wait" : ok ? "ok" : "error"))) say(GONE, "error");
		this.refresh();
	}

	/** Fetch what is missing, one range at a time, only while somebody looks. What is in view does not wait. @param {boolean} [urgent] */
	fetchSoon(urgent) {
		if (this.asked || !this.visible || this.state === "gone" || !this.frame.stream?.describes) return;
		if (urgent) this.nextFetch = Math.min(this.nextFetch, this.lastAsk + PAUSE);
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.backfill(), Math.max(0, this.nextFetch - performance.now()));
	}

	backfill() {
		const range = nextRange(this.items, ...this.window());
		if (!range || this.asked || !this.visible) return;
		this.asked = range;
		this.lastAsk = performance.now();
		// It was lost.
		this.lost = setTimeout(() => { this.asked = null; this.fetchSoon(); }, 3000);
		this.call({ kind: "range", ...range }, (answer, buffers) => this.onRange(answer, buffers));
	}

	/** See to it that the values of [from, to) come. @param {number} from @param {number} to */
	want(from, to) {
		const now = performance.now(), { base, end } = this.items;
		let first = Math.max(from, base), last = Math.min(to, end);
		while (first < last && this.values.has(first)) first++;
		while (last > first && this.values.has(last - 1)) last--;
		if (first >= last || this.askedValues || now < this.nextValues || !this.frame.stream || this.state === "gone") return;
		const { epoch } = this, asked = { kind: "values", first, count: Math.min(last - first, AT_ONCE) };
		this.askedValues = true;
		this.call(asked, (answer) => {
			this.askedValues = false;
			if (epoch !== this.epoch) return;
			// None came: nobody answers; a little later again.
			this.nextValues = performance.now() + (answer.values?.length ? 50 : 2000);
			for (const [offset, line, text] of answer.values ?? []) this.values.set(offset, [line, text]);
			for (const offset of this.values.keys()) if (this.values.size > VALUES) this.values.delete(offset);
			this.refresh();
		});
	}

	// -------------------------------------------------------- what is true now

	space() { return { base: this.items.base, end: this.items.end, tail: this.tails.length, width: this.width }; }

	/** The offsets in view. @returns {[number, number]} */
	window() { return [Math.floor(this.place.left), this.place.left + this.width / this.place.scale]; }

	/** Milliseconds since a moment of the kernel's clock. @param {number} moment */
	age(moment) { return Math.max(0, this.clock + performance.now() - moment); }

	waits() { return (this.frame.waiting?.length ?? 0) + (this.frame.waiting_more ?? 0); }

	judge() {
		const state = stateOf(this.frame, performance.now() - this.heard, this.loop, this.broken);
		const before = this.state;
		if (state === before) return;
		this.state = state;
		if (state === "gone") this.giveUp();
		else if (before === "gone") this.fetchSoon();
		this.refresh();
	}

	/** Nobody will answer any more. */
	giveUp() {
		for (const answer of this.pending.values()) answer({ kind: "done", ok: false, text: GONE, found: false, error: GONE }, []);
		this.pending.clear();
		this.asked = null;
	}

	/** @param {number} seconds */
	tick(seconds) {
		// Out of sight it says that it is still there.
		if (seconds % (this.visible ? 10 : 30) === 0) this.watch();
		if (!this.visible) return;
		this.judge();
		if (seconds % 6 === 1) this.live = this.summary();
		// For the ages; no animation frame.
		if (this.ink) this.fill();
	}

	summary() {
		const { base, end } = this.items, state = STATES[this.state] ?? "closed", n = end - base;
		return `${plural(n, "item")}${n ? `, offsets ${offsets(base, n)}` : ""}, ${plural(this.readers.length, "reader")}, ${state}`;
	}

	/** What is at a place of the tape, in words. @param {any} found */
	say(found) {
		if (!found || found.kind === "none") return null;
		const { kind, offset, id, seq, first, items, topic } = found, item = this.items.at(offset);
		if (kind === "gone") return `${offsets(0, this.items.base)} truncated: nobody can fetch them any more`;
		if (kind === "edge") return "drag: what lies left of it would be truncated";
		if (kind === "tail") return topic < 0 ? "published here, not acknowledged yet" : `batch #${seq} of ${this.who(id)} is stored, not applied yet`;
		if (kind === "batch") return `batch #${seq} of ${this.who(id)}: ${plural(items, "item")}, offsets ${offsets(first, items)}`;
		if (kind === "ghost") return `batch #${seq} of ${this.who(id)} came again and was dropped; the copy that won: ${offsets(first, items)}`;
		if (!item) return `offset ${count(offset)}, not fetched yet`;
		const whose = item.id === -1 ? "" : `, publisher ${this.who(item.id)} #${item.seq}`, value = this.values.get(offset);
		return `offset ${count(offset)}, ${short(this.topics[item.topic], 40)}, ${bytes(item.size)}${whose}${value ? `: ${value[0]}` : ""}`;
	}

	// -------------------------------------------------------- moving and choosing

	/** @param {import("./geometry.js").Place} place */
	move(place) {
		if (place.follow !== this.place.follow || this.show.text) this.refresh();
		this.place = place;
		this.touch();
		this.fetchSoon(this.items.lastHole(...this.window()) >= 0);
	}

	/** Bring offsets into view, if they are not. @param {number} first @param {number} items */
	reveal(first, items = 1) {
		const [from, to] = this.window(), room = to - from;
		if (first <= from || first + items >= to) this.move(pan(this.place, this.space(), items < room ? first - (room - items) / 2 : first - 1));
	}

	/** @param {number} offset */
	goto(offset) {
		if (this.place.scale < 8) this.place = { ...this.place, scale: SCALE, auto: false };
		if (this.items.end > this.items.base) this.select(clamp(offset, this.items.base, this.items.end - 1), !!this.card);
	}

	/** @param {number} offset @param {boolean} open */
	select(offset, open) {
		/** @type {Card | null} */
		const card = open ? { kind: "item", offset } : null;
		Object.assign(this, { selected: offset, chosen: null, card });
		this.reveal(offset);
		this.refresh();
		// Whoever holds an arrow key down means the last item.
		clearTimeout(this.asking);
		if (!card) return;
		const show = (/** @type {any} */ answer) => { card.answer = answer; this.refresh(); };
		this.asking = setTimeout(() => this.call({ kind: "item", offset }, show) || show({ error: GONE }), 90);
	}

	/** What a click found: an item, a batch, or nothing. @param {any} found */
	choose(found = {}) {
		if (found.kind === "item") return this.select(found.offset, true);
		const ghost = found.kind === "ghost", batch = ghost || found.kind === "batch" ? found : null;
		const { first, items } = batch ?? {}, there = items > 0 && first !== null && first >= this.items.base;
		const card = batch && { verdict: ghost ? "duplicate" : "accepted", ...batch, kind: "batch" };
		Object.assign(this, { selected: null, chosen: there ? batch : null, card });
		if (there) this.reveal(first, items);
		this.refresh();
	}

	/** Preview a truncation. `keeping`: so many stay, while the stream grows. @param {number} upTo @param {number | null} keeping */
	foresee(upTo, keeping = null) {
		const preview = clamp(upTo, this.items.base, this.items.end);
		Object.assign(this, { preview: preview > this.items.base ? preview : null, keeping });
		this.refresh();
	}

	// -------------------------------------------------------- drawing

	/** The canvas is out of date. */
	touch() { if (this.visible) this.raf ||= requestAnimationFrame((now) => this.draw(now)); }

	/** Everything is. Out of sight that waits; but a view has its height before somebody scrolls to it. */
	refresh() {
		this.old = true;
		if (!this.visible && this.frame.stream && this.root.dataset.state === "empty") this.fill();
		this.touch();
	}

	/** @param {boolean} intersects */
	look(intersects) {
		const before = this.visible;
		this.intersects = intersects;
		this.visible = intersects && document.visibilityState === "visible";
		if (this.visible === before) return;
		// To a view that nobody sees the kernel may have fallen silent.
		if (this.state !== "gone") this.heard = performance.now();
		this.watch();
		this.refresh();
		// The page asks between its layout and its paint: what is drawn now is in this very frame.
		if (this.visible) this.draw(performance.now(), true);
		this.fetchSoon();
	}

	/** How wide the tape is: read where the page has been laid out, and would not be for it. */
	measure() {
		this.width = this.canvas?.parentElement?.clientWidth || this.width;
		this.touch();
	}

	/** Panels, then tape; where the panels took long, the tape has the next frame. @param {number} now @param {boolean} atOnce */
	draw(now, atOnce = false) {
		cancelAnimationFrame(this.raf);
		this.raf = 0;
		if (!this.visible) return;
		if (!this.ink) this.wear();
		if (this.old && !this.late) {
			const begun = performance.now();
			this.fill();
			this.late = !atOnce && performance.now() - begun > SLOW;
			if (this.late) return this.touch();
		}
		this.late = false;
		if (this.canvas && this.frame.stream && this.paint(now)) this.touch();
		if (this.old) return this.touch();  // more came meanwhile
		dress(this.root, { data: { painted: this.frame.rev } });
	}

	fill() {
		this.old = false;
		const { base, end } = this.items, at = this.selected ?? end;
		if (this.show.table) this.want(...tableWindow(at, base, end));
		if (this.show.text) this.want(Math.floor(this.window()[0]), Math.ceil(this.window()[1]));
		if (this.hover?.kind === "item") this.want(this.hover.offset - 12, this.hover.offset + 12);
		dress(this.root, { data: { state: this.state, follow: `${this.place.follow}`, selected: this.selected, large: this.show.large || null } });
		render(h(App, { v: this }), this.root);
		this.scrollTable();
	}

	/** Bring the selected row into sight, once. */
	scrollTable() {
		const row = this.show.table ? /** @type {HTMLElement | null} */ (this.root.querySelector("tr[data-selected]")) : null;
		const box = row?.closest(".sv-scroll");
		if (row && box && this.scrolled !== this.selected) box.scrollTop = row.offsetTop - box.clientHeight / 2;
		this.scrolled = row ? this.selected : null;
	}

	/** The page's zoom of this view, beside its own pixels. */
	ratio() { return devicePixelRatio * (this.show.large ? LARGE : 1); }

	/** Draw the tape, and tell screen readers and tests what it shows. @param {number} now */
	paint(now) {
		const { items: { base, end }, frame, canvas, overview } = this;
		const ink = /** @type {import("./paint.js").Ink} */ (this.ink), ratio = this.ratio();
		if (!canvas || !overview) return false;
		const track = /** @type {HTMLElement} */ (canvas.parentNode), last = Math.max(base, end - 1), at = this.selected ?? last;
		this.place = settle(this.place, this.space());
		this.rows = rowsOf(this.stream.seams.length > 0, Math.max(0, ...readerLanes(placeReaders(this, this.width))) + 1);
		const moves = paintTape(this, new Pen(canvas, this.width, this.rows.height, ink, ratio), now), [from, to] = this.window();
		paintOverview(this, new Pen(overview, this.width, 28, ink, ratio), [from, to]);
		dress(track, {
			"aria-valuemin": base, "aria-valuemax": last, "aria-valuenow": at,
			"aria-valuetext": end > base ? this.say({ offset: at }) : "no items",
			data: {
				first: Math.max(base, from), last: Math.min(last, Math.floor(to)), scale: this.place.scale.toFixed(3),
				cell: this.rows.cell, edge: this.edge, ghosts: this.ghosts.size,
				waiting: this.tails.filter(({ topic }) => topic >= 0).length, unsent: frame.unsent,
			},
		});
		return moves;
	}

	rewear() {
		this.ink = null;
		this.refresh();
	}

	/** Take the page's theme. */
	wear() {
		const told = document.body.dataset.jpThemeLight;
		const [r, g, b] = getComputedStyle(this.root).backgroundColor.match(/\d+/g) ?? [255, 255, 255];
		const dark = told ? told === "false" : +r + +g + +b < 380;
		dress(this.root, { data: { theme: dark ? "dark" : "light" } });
		// Beside the page it has no colours yet.
		this.ink = this.root.isConnected ? readInk(this.root) : null;
		this.still = matchMedia("(prefers-reduced-motion: reduce)").matches;
		this.old = true;
	}
}

/** Milliseconds after which panels leave the tape to the next frame: a page must not stand still. */
const SLOW = 6;

/** How much larger *Large* is; `view.css` says the same. */
const LARGE = 1.5;

/** The rows that a table of 50 shows. @param {number} at @param {number} base @param {number} end @returns {[number, number]} */
export function tableWindow(at, base, end) {
	const first = Math.max(base, Math.min(at - 25, end - 50));
	return [first, Math.min(end, first + 50)];
}

/**
 * Whether a key is meant for the view, not for the page around it: Ctrl+S still saves.
 * @param {{key: string, ctrlKey: boolean, metaKey: boolean, altKey: boolean, target: EventTarget | null}} event
 */
export function isOurs({ key, ctrlKey, metaKey, altKey, target }) {
	if (/^F\d/.test(key)) return false;
	if (!ctrlKey && !metaKey && !altKey) return true;
	const writes = /^(text|number)$/.test(/** @type {any} */ (target)?.type);
	return key === "Enter" || (writes && !altKey && /^[acvxyz]$/i.test(key));
}

/** Set attributes (null and false: remove) and `data-*`. @param {Element} node @param {Record<string, any>} props */
function dress(node, props) {
	for (const [name, value] of Object.entries(props)) {
		if (name === "data") for (const key in value) dress(node, { [`data-${key}`]: value[key] });
		else if (value === false || value == null) node.removeAttribute(name);
		else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
	}
}

/** The page's colours, as a canvas needs them: names of system colours too become numbers. @param {Element} root @returns {any} */
function readInk(root) {
	const style = getComputedStyle(root), probe = document.createElement("i");
	probe.style.forcedColorAdjust = "none";
	root.append(probe);
	const of = (/** @type {string} */ name) => style.getPropertyValue(`--sv-${name}`).trim();
	const color = (/** @type {string} */ value) => {
		probe.style.color = value;
		return getComputedStyle(probe).color;
	};
	const names = ["ink", "soft", "faint", "card", "accent", "bad", "edge"].map((name) => [name, color(of(name))]);
	const ink = { font: style.fontFamily, code: of("code"), pens: of("pens").split(" ").map(color), ...Object.fromEntries(names) };
	probe.remove();
	return ink;
}

export default {
	/** @param {{model: any, el: HTMLElement}} page */
	render({ model, el }) {
		const view = new View(model, el);
		return () => view.close();
	},
};
