// A view's panels as HTML: what they say is in facts and words, what they do is asked of the view.

import { Fragment, h } from "preact";
import { inkOn, pace, stranded } from "./facts.js";
import { hit, offsetAt, pan, settle, zoom } from "./geometry.js";
import { paintTrend } from "./paint.js";
import { bytes, clamp, count, offsets, plural, short, span, whole } from "./words.js";
import { tableWindow } from "./view.js";

/**
 * @typedef {import("./view.js").View} View
 * @typedef {import("./facts.js").Reader} Reader
 * @typedef {{v: View}} Props
 */

/** @type {Record<string, string>} */
const MARKS = { accepted: "●", duplicate: "✕", refused: "!" };
/** @type {Record<string, string>} */
export const STATES = { empty: "not seen yet", live: "live", busy: "a cell is busy", gone: "kernel gone", stale: "no answer" };
export const GONE = "The kernel is gone: the last picture. Run the cell again.";

/** What is drawn, and what it means. */
const LEGEND = [
	["A", "an item: colour and letter are its topic's"],
	["[A]", "dashed: stored in the history, not applied by a worker yet; dotted: not acknowledged yet"],
	["[", "the open edge: the next item goes here (a bar: the stream has ended)"],
	["///", "truncated: nobody can fetch it any more; the handle at its edge can be dragged"],
	["▼", "a reader, at what it reads next; red: it will miss something"],
	["└ #3 ┘", "a batch: one publisher's items with one sequence number"],
	["✕ #3", "a duplicate of batch 3, dropped, below the copy that won"],
	["│ run 2", "a seam: another run of the workflow took over; offsets go on"],
	["● ✕ !", "a publisher's last batches: accepted, dropped as duplicates, refused"],
	["▬|▬", "the mark in a cost bar: from here on the server suggests to continue as new"],
];
/** @type {Record<string, string>} */
const HELP = {
	sequence: "A publisher counts its batches: 1, 2, 3 … A batch whose number was seen before is a duplicate, and dropped.",
	refused: "Batches that are not valid (no items, a wrong type). They change nothing but this count.",
};
/** @type {[string, string, (n: number) => string][]} */
const COSTS = [["events", "history events", count], ["bytes", "history size", bytes], ["signals", "signals", count], ["updates", "updates", count]];

// ---------------------------------------------------------------- small parts

/** @param {any} props */
const Button = ({ children, ...props }) => <button class="sv-btn" type="button" {...props}>{children}</button>;

/** A button that needs the kernel. @param {any} props */
const Command = ({ v, ok = true, action, ...props }) =>
	<Button data-action={action} disabled={!ok || v.state === "gone"} {...props} />;

/** A field whose value is `v.form[name]`; while one types, what is typed. @param {any} props */
function Field({ v, label, name, value = v.form[name], then, children, ...props }) {
	const change = (/** @type {any} */ { target }) => {
		v.form[name] = target.value;
		v.typing = name;
		then?.(whole(target.value));
		v.refresh();
	};
	const number = props.type !== "text", shown = v.typing === name ? v.form[name] : value;
	const control = children
		? <select name={name} value={shown} onChange={change} {...props}>{children}</select>
		: <input type="number" min={number ? 0 : undefined} name={name} value={shown} onInput={change}
			onBlur={() => { v.typing = ""; if (`${value}` !== v.form[name]) v.refresh(); }} {...props} />;
	return label ? <label class="sv-field"><span>{label}</span>{control}</label> : control;
}

/** A panel: title, note, tools; its body; and what was done here. @param {any} props */
function Panel({ v, name, title, note, tools, children }) {
	const done = v.log.filter((/** @type {any} */ { panel }) => panel === name).slice(0, 4);
	return <section class={`sv-panel sv-${name}`} aria-label={title} data-panel={name}>
		<div class="sv-bar"><h3>{title}</h3><span class="sv-note">{note}</span>{tools}</div>
		{children}
		{done.length > 0 && <div class="sv-log" role="group" aria-label={`Done in ${title}`}>
			{done.map((/** @type {import("./view.js").Entry} */ { id, at, text, kind, doing }, /** @type {number} */ i) =>
				<p class="sv-say" key={`${id}${kind}`} role={i ? undefined : kind === "error" ? "alert" : "status"} data-kind={kind}>
					<time>{at.toTimeString().slice(0, 8)}</time> <b>{doing}</b> {text}</p>)}
		</div>}
	</section>;
}

/** @param {any} props */
const Table = ({ label, heads, children }) =>
	<div class="sv-scroll" tabindex={0} role="group" aria-label={`${label}, scrollable`}>
		<table class="sv-table" aria-label={label}>
			<thead><tr>{heads.map((/** @type {any} */ head) => <th scope="col">{head}</th>)}</tr></thead>
			<tbody>{children}</tbody>
		</table>
	</div>;

/** @param {{v: View, of: string}} props */
const Help = ({ v, of }) => <button class="sv-help" type="button" aria-label={`What is “${of}”?`} aria-expanded={v.help === of}
	title={HELP[of]} onClick={() => { v.help = v.help === of ? "" : of; v.refresh(); }}>?</button>;

/** @param {{v: View, topic: number}} props */
const Badge = ({ v, topic }) => {
	const color = v.palette[topic % v.palette.length];
	return <i class="sv-badge" style={{ background: color, color: inkOn(color) }}>{v.letters[topic] ?? "?"}</i>;
};

/** @param {number} n */
const waiting = (n) => n > 0 && `${plural(n, "batch waits", "batches wait")} in the history: no worker has applied ${n > 1 ? "them" : "it"} yet.`;

// ---------------------------------------------------------------- the view

/** @param {Props} props */
export function App({ v }) {
	return <>
		<Head v={v} />
		{v.show.legend && <dl class="sv-legend" aria-label="Legend">
			{LEGEND.map(([sign, words]) => <div key={sign}><dt>{sign}</dt><dd>{words}</dd></div>)}
		</dl>}
		<div class="sv-panels">{v.options.panels.map((name) => {
			const Part = PANELS[name];
			return Part && <Part key={name} v={v} />;
		})}</div>
		<div class="sv-live" role="status" aria-live="polite">{v.live}</div>
	</>;
}

/** @param {Props} props */
function Head({ v }) {
	const { stream, at, ui } = v.frame, { base, end } = v.items, known = stream?.describes;
	const pill = v.state === "closed" ? `closed ${stream?.status}`
		: v.state === "stale" && at ? `no answer for ${span(v.age(at))}` : STATES[v.state];
	const stats = known ? { base: count(base), end: count(end), items: count(end - base), size: bytes(stream.bytes) }
		: { base: "–", end: count(end) };
	const why = trouble(v);
	/** @param {"legend" | "large"} what */
	const toggle = (what) => ({
		"aria-pressed": v.show[what], onClick: () => { v.show[what] = !v.show[what]; v.refresh(); },
	});
	return <>
		<div class="sv-head">
			<div class="sv-title">
				<span class="sv-name" title={stream ? `${stream.workflow_id}, run ${stream.run_id}` : undefined}>
					{stream ? short(stream.workflow_id, 60) : "No stream yet"}</span>
				<span class="sv-pill" data-state={v.state}>{pill}</span>
				{/^(https?:|\/[^/])/.test(ui) && <a class="sv-link" href={ui} target="_blank" rel="noopener noreferrer">Temporal UI ↗</a>}
			</div>
			{stream && <dl class="sv-stats">{Object.entries(stats).map(([label, value]) =>
				<div key={label} data-stat={label}><dt>{label}</dt><dd>{value}</dd></div>)}</dl>}
			<div class="sv-tools"><Button {...toggle("legend")}>Legend</Button><Button {...toggle("large")}>Large</Button></div>
		</div>
		{why && <p class="sv-banner" data-state={v.state}>{why}</p>}
	</>;
}

/** @param {View} v */
function trouble(v) {
	const { stream, trouble: why, at } = v.frame;
	if (v.state === "gone") return GONE;
	if (v.state === "busy") return "A cell keeps the kernel busy: the numbers wait for it.";
	if (v.state === "stale") return `${why.replace(/\.$/, "")}.${at ? ` This picture is ${span(v.age(at))} old.` : ""} ${waiting(v.waits()) || ""}`;
	return stream?.describes === false && "This host does not describe itself: only its end is known.";
}

// ---------------------------------------------------------------- tape

/** @param {Props} props */
function Tape({ v }) {
	const { follow } = v.place, known = !!v.frame.stream;
	const zoomBy = (/** @type {number} */ factor) => () => v.move(zoom(v.place, v.space(), factor, v.width / 2));
	const put = (/** @type {object} */ place) => () => { v.move(settle({ ...v.place, ...place }, v.space())); v.refresh(); };
	const toggle = (/** @type {"table" | "text"} */ what) => ({
		"aria-pressed": v.show[what], onClick: () => { v.show[what] = !v.show[what]; v.refresh(); },
	});
	const tools = <>
		<Chips v={v} />
		<div class="sv-tools" role="group" aria-label="Tape tools">
			<Button aria-label="Zoom out" onClick={zoomBy(0.6)}>−</Button>
			<Button aria-label="Zoom in" onClick={zoomBy(1.6)}>+</Button>
			<Button onClick={put({ scale: 0, auto: false, follow: true })}>Fit</Button>
			<Button aria-pressed={follow} onClick={put({ follow: !follow })}>Follow</Button>
			<input type="number" min={0} placeholder="offset" aria-label="Go to offset"
				onChange={({ currentTarget: { value } }) => value && v.goto(whole(value))} />
			<Button {...toggle("text")} title="The items' text, one after the other">Text</Button>
			<Button {...toggle("table")} title="View as table">Table</Button>
		</div>
	</>;
	return <Panel v={v} name="tape" title="Tape" tools={tools}>
		{!known && <p class="sv-note">Nothing to draw yet: no stream has answered.</p>}
		<div class="sv-track" ref={v.refs.track} hidden={!known} style={{ height: v.rows.height }} tabindex={0} role="slider"
			aria-label="Tape: one cell per offset" aria-valuenow={v.items.base}>
			<canvas aria-hidden="true" ref={v.refs.canvas} /></div>
		<div class="sv-strip" ref={v.refs.strip} hidden={!known}><canvas aria-hidden="true" ref={v.refs.overview} /></div>
		<p class="sv-note sv-hover">{v.say(v.hover) ?? "dashed: stored, not applied yet · ✕ a duplicate, dropped · ▼ a reader"}</p>
		{v.preview !== null && !v.options.panels.includes("playground") && <Cut v={v} />}
		{v.card && <Details v={v} card={v.card} />}
		{v.show.text && <Text v={v} />}
		{v.show.table && <ItemsTable v={v} />}
	</Panel>;
}

/** @param {Props} props */
function Chips({ v }) {
	const few = v.show.topics ? v.topics : v.topics.slice(0, 12), more = v.topics.length - 12;
	return <div class="sv-chips" role="group" aria-label="Topics shown">
		{few.map((topic, i) => <Button key={i} title={topic} aria-pressed={!v.hidden.has(i)} data-topic={topic}
			onClick={() => { if (!v.hidden.delete(i)) v.hidden.add(i); v.refresh(); }}>
			<Badge v={v} topic={i} />{short(topic, 18)}</Button>)}
		{more > 0 && <Button aria-expanded={v.show.topics} onClick={() => { v.show.topics = !v.show.topics; v.refresh(); }}>
			{v.show.topics ? "fewer" : `+${more}`}</Button>}
	</div>;
}

/** What was chosen, an item or a batch, in words. @param {{v: View, card: import("./view.js").Card}} props */
function Details({ v, card }) {
	const { kind, offset = 0, first, items, id, seq = 0, verdict, reason, answer } = card, item = v.items.at(offset);
	const named = (/** @type {number | undefined} */ of) => of !== undefined && of >= 0 && (v.names[of] ? `${v.names[of]} (${v.ids[of]})` : v.ids[of]);
	const publisher = answer?.publisher ? (answer.name ? `${answer.name} (${answer.publisher})` : answer.publisher) : named(id ?? item?.id);
	const many = (id ?? item?.id) === -2 && "one of many";
	const rows = kind === "batch" ? {
		publisher: publisher || many, sequence: count(seq), verdict,
		offsets: !items ? "none" : first === null || first === undefined ? "forgotten" : offsets(first, items), reason,
	} : {
		topic: answer?.topic ?? (item && v.topics[item.topic]) ?? "not fetched yet",
		size: bytes(answer?.size ?? item?.size ?? 0),
		publisher: publisher || many || "the workflow itself, or its batch is forgotten",
		sequence: publisher && count(answer?.sequence ?? item?.seq ?? 0),
		encoding: answer?.encoding, type: answer?.type,
	};
	const text = answer?.found ? answer.text + (answer.cut ? "\n… (cut)" : "") : answer ? answer.error || answer.text || "not found" : "…";
	return <div class="sv-card" role="region" aria-label="Details" data-kind={kind} data-offset={kind === "item" ? offset : first}
		data-sequence={kind === "batch" ? seq : undefined} data-verdict={verdict} data-found={answer && `${!!answer.found}`} data-cut={answer?.cut}>
		<div class="sv-bar"><h4>{kind === "batch" ? `Batch #${seq}` : `Offset ${count(offset)}`}</h4>
			<div class="sv-tools"><Button aria-label="Close details" onClick={() => v.choose()}>×</Button></div></div>
		<dl>{Object.entries(rows).map(([label, words]) => words
			&& <div key={label}><dt>{label}</dt><dd title={words}>{short(words, 90)}</dd></div>)}</dl>
		{kind !== "batch" && <pre class="sv-value">{text}</pre>}
	</div>;
}

/** The texts of the items in the window, run together: what a stream of tokens says. @param {Props} props */
function Text({ v }) {
	const [from, to] = v.window(), { base, end } = v.items;
	/** @type {{topic: number, first: number, text: string}[]} */
	const runs = [];
	for (let at = Math.max(base, from, Math.floor(to) - 400); at <= Math.min(end - 1, to); at++) {
		const item = v.items.at(at), value = v.values.get(at);
		if (!item || v.hidden.has(item.topic)) continue;
		const text = value ? value[1] ?? `${value[0]} ` : "…", last = runs.at(-1);
		if (last && last.topic === item.topic) last.text += text;
		else runs.push({ topic: item.topic, first: at, text });
	}
	return <div class="sv-text sv-scroll" tabindex={0} role="group" aria-label="Text of the items in view">
		{runs.map(({ topic, first, text }) => <p key={first} data-first={first}><Badge v={v} topic={topic} /> <span dir="auto">{text}</span></p>)}
		{!runs.length && <p class="sv-note">No items are in view.</p>}
	</div>;
}

/** @param {Props} props */
function ItemsTable({ v }) {
	const [first, end] = tableWindow(v.selected ?? v.items.end, v.items.base, v.items.end);
	return <Table label="Items" heads={["offset", "topic", "value", "size", "publisher", "sequence"]}>
		{Array.from({ length: end - first }, (_, i) => {
			const offset = first + i, item = v.items.at(offset), value = v.values.get(offset);
			const whose = !item || item.id === -1 ? ["–", "–"] : [v.who(item.id, 16), count(item.seq)];
			const cells = item ? [short(v.topics[item.topic], 40), value ? short(value[0], 60) : "…", bytes(item.size), ...whose]
				: ["not fetched yet", "–", "–", "–", "–"];
			return <tr key={offset} data-offset={offset} data-selected={offset === v.selected || undefined}>
				<th scope="row">{count(offset)}</th>{cells.map((text, at) => <td class={at === 2 ? "sv-size" : ""}>{text}</td>)}</tr>;
		})}
	</Table>;
}

// ---------------------------------------------------------------- readers, publishers

/** @param {Props} props */
function Readers({ v }) {
	const { readers = [] } = v.frame;
	const tools = readers.length > 0 && <div class="sv-tools">
		<Field v={v} name="count" label="read" min={1} aria-label="Items to read at a press" />
		<Field v={v} name="rate" label="a second" min={1} aria-label="Items to read a second" />
	</div>;
	return <Panel v={v} name="readers" title="Readers" note={readers.length > 0 && "lag: what is left to read"} tools={tools}>
		{readers.length
			? <div class="sv-lanes" role="list">{readers.map((row) => <Lane key={row.key} v={v} r={row} />)}</div>
			: <p class="sv-note">No reader is open. In a cell: <code>reader = client.subscribe()</code>, or in the playground.</p>}
	</Panel>;
}

/** Where a reader stands and what it will miss, in words. @param {Reader} r */
function where({ state, position, below, missed, held, topics }) {
	if (state !== "open") return state;
	const gone = topics.length ? `${plural(below, "offset")} gone` : `will miss ${count(below)}`;
	return [`at ${count(position)}`, held && `holds ${count(held)}, come what may`, below && gone,
		missed && `missed ${count(missed)}`].filter(Boolean).join(", ");
}

/** @param {{v: View, r: Reader}} props */
function Lane({ v, r }) {
	const { base, end } = v.items, { key, name, topics, position, lag, below, held, state, own } = r, open = state === "open";
	// Where the log ends nobody has said yet: then nobody knows what is left.
	const log = !!v.frame.stream;
	const of = topics.join(", ") || "all topics", n = Math.max(1, whole(v.form.count)), rate = Math.max(1, whole(v.form.rate));
	// The lane begins with a stub for what is gone.
	const left = (/** @type {number} */ offset) => `${9 + 90 * (end > base ? clamp((offset - base) / (end - base), 0, 1) : +log)}%`;
	const ask = (/** @type {string} */ kind, /** @type {string} */ doing, more = {}) => () => v.ask("readers", { kind, reader: key, ...more }, `${short(name, 14)}: ${doing}`);
	const known = !topics.length || r.unread !== null, left_to_read = topics.length ? r.unread ?? lag : lag;
	return <div class="sv-reader" role="listitem" data-key={key} data-name={name} data-position={position} data-lag={lag} data-below={below}
		data-held={held} data-unread={r.unread} data-missed={r.missed} data-state={state} data-own={`${own}`} data-pace={r.pace}
		data-gap={(open && below > 0) || undefined}>
		<div class="sv-who"><b title={name}>{short(name, 18)}</b><span class="sv-note" title={of}>{short(of)}</span></div>
		<div class="sv-way"><div class="sv-lane"><i class="sv-below" data-base={base > 0 || undefined} />
			{log && <i class="sv-lag" style={{ left: left(position) }} />}
			{held > 0 && <i class="sv-held" style={{ left: left(position), right: `calc(100% - ${left(r.held_to)})` }} />}
			<i class="sv-mark" style={{ left: below ? "3.5%" : left(position) }} /></div>
			<span class="sv-note">{where(r)}</span></div>
		<b class="sv-num" title={topics.length ? (known ? "left to read, of its topics" : "offsets left, of all topics") : "lag"}>
			{log && (open || r.kept) ? `${known ? "" : "≤ "}${count(left_to_read)}` : "–"}</b>
		<canvas aria-hidden="true" ref={(node) => { if (node && v.ink) paintTrend(node, v.trends.get(key) ?? [], v.ink, v.ratio()); }} />
		<div class="sv-tools" hidden={r.kept}>
			<Command v={v} action="read" ok={open} onClick={ask("read", `read ${n}`, { count: n })}>Read {count(n)}</Command>
			<Command v={v} action="all" ok={open} onClick={ask("read", "read all", { all: true })}>Read all</Command>
			{r.pace ? <Command v={v} action="stop" onClick={ask("pace", "stop", { rate: 0 })}>Stop ({r.pace}/s)</Command>
				: <Command v={v} action="pace" ok={open} onClick={ask("pace", `read ${rate} a second`, { rate })}>{rate}/s</Command>}
			{own && <Command v={v} action="close" ok={open} onClick={ask("close", "close")}>Close</Command>}
		</div>
	</div>;
}

/** @param {Props} props */
function Publishers({ v }) {
	const { publishers = [], all, batches = [], stream } = v.frame, more = all ? all.publishers - publishers.length : 0;
	const note = publishers.length > 0
		&& `${plural(all.publishers, "publisher")}, ${plural(all.dropped, "duplicate")} dropped${stream?.refused ? `, ${plural(stream.refused, "batch", "batches")} refused` : ""}`;
	const heads = ["publisher", <>sequence <Help v={v} of="sequence" /></>, "accepted", "dropped", <>refused <Help v={v} of="refused" /></>, "last seen", "last batches"];
	const nobody = stream && !stream.describes ? "This host does not say who published." : "Nobody has published from outside yet.";
	return <Panel v={v} name="dedup" title="Publishers" note={note}>
		{publishers.length ? <Table label="Publishers" heads={heads}>{publishers.map(([index, id, name, seq, accepted, dropped, refused, seen], place) => {
			const last = batches.filter((batch) => index >= 0 && batch[0] === index).slice(-16);
			return <tr key={place} data-publisher={id} data-called={name} data-sequence={seq} data-accepted={accepted} data-dropped={dropped} data-refused={refused}>
				<th scope="row" title={id}><i class="sv-dot" style={{ background: index < 0 ? v.ink?.edge : v.ink?.pens[index % v.ink.pens.length] }} />
					{name ? <><b>{short(name, 16)}</b> <span class="sv-note">{short(id, 6)}</span></> : short(id, 10)}</th>
				{[seq, accepted, dropped, refused].map((n) => <td>{count(n)}</td>)}
				<td>{span(v.age(seen))} ago</td><td>{last.map((batch) => <Tick v={v} batch={batch} />)}</td></tr>;
		})}</Table> : <p class="sv-note">{nobody}</p>}
		{more > 0 && <p class="sv-note" data-more={more}>and {count(more)} more, heard of before these</p>}
		{v.help && <p class="sv-note sv-explains" role="status">{v.help}: {HELP[v.help]}</p>}
	</Panel>;
}

/** @param {{v: View, batch: import("./facts.js").Verdict}} props */
function Tick({ v, batch: [id, seq, verdict, first, items, reason] }) {
	const where = items && first !== null ? `, offsets ${offsets(first, items)}` : "";
	const title = `batch ${seq} ${verdict}${where}${reason ? `: ${reason}` : ""}`;
	return <button class="sv-tick" type="button" aria-label={title} title={title} data-verdict={verdict} data-sequence={seq} data-first={first}
		onClick={() => v.choose({ kind: "batch", id, seq, verdict, first, items, reason })}>{MARKS[verdict] ?? "?"}</button>;
}

// ---------------------------------------------------------------- cost, background

/** @param {Props} props */
function Cost({ v }) {
	const { cost, stream } = v.frame, title = "Cost of this run";
	if (!cost) return <Panel v={v} name="cost" title={title}><p class="sv-note">The run is not known yet.</p></Panel>;
	/** @type {[number, string][]} */
	const paces = v.state === "closed" ? [] : COSTS.flatMap(([kind, words]) => {
		const left = pace(v.costs[kind] ?? [], cost[kind][1], performance.now());
		return left === null ? [] : [[left, words]];
	});
	const [left, what] = paces.sort((a, b) => a[0] - b[0])[0] ?? [], began = `began ${span(v.age(cost.run_began_ms))} ago`;
	return <Panel v={v} name="cost" title={title} note={`${stream?.run ? `run ${stream.run}, ` : ""}${began}`}>
		{COSTS.map(([kind, words, format]) => {
			const [used, limit] = cost[kind], mark = cost.suggested[kind], says = `${used === null ? "…" : format(used)} / ${format(limit)}`;
			return <div class="sv-cost-row" key={kind} data-cost={kind} data-used={used} data-limit={limit}
				data-high={used > Math.min(mark ?? limit, limit * 0.8) || undefined}>
				<span class="sv-note">{words}</span><span class="sv-num">{says}</span>
				<div class="sv-meter" role="img" aria-label={`${words}: ${says}`}>
					<i style={{ width: `${clamp((used / limit) * 100, 0.6, 100)}%` }} />
					{mark && <u style={{ left: `${(mark / limit) * 100}%` }} title={`continue as new from ${format(mark)} on`} />}
				</div></div>;
		})}
		<p class="sv-note" data-left-ms={left === undefined ? undefined : Math.round(left)}>{left === undefined
			? "From the mark on, the server suggests to continue as new." : `At this pace the run's limit of ${what} is ${span(left)} away.`}</p>
	</Panel>;
}

/** @param {Props} props */
function Background({ v }) {
	const waits = v.waits(), fine = v.state === "live" || v.state === "closed" || !v.frame.at;
	const act = (/** @type {string} */ name, /** @type {string} */ action) => () => v.ask("background", { kind: "part", name, action }, `${action} ${name}`);
	return <Panel v={v} name="background" title="Background" note={!fine && `numbers are ${span(v.age(v.frame.at))} old`}>
		<div role="list">{(v.frame.parts ?? []).map(([name, kind, pid, state, detail, allowed]) =>
			<div class="sv-part" key={name} role="listitem" data-part={name} data-kind={kind} data-pid={pid} data-state={state}>
				<i class="sv-dot" />
				<div class="sv-who"><b>{short(name, 30)}</b><span class="sv-note" title={detail}>
					{[state, pid && `pid ${pid}`, short(detail, 60)].filter(Boolean).join(" · ")}</span></div>
				<div class="sv-tools">{v.sure === name
					? <><span class="sv-sure" role="alert">Every notebook on this server stops. Kill it?</span>
						<Command v={v} action="sure" onClick={act(name, "kill")}>Yes, kill it</Command>
						<Button onClick={() => { v.sure = ""; v.refresh(); }}>No</Button></>
					: ["pause", "resume", "kill", "restart"].filter((action) => allowed.includes(action)).map((action) =>
						<Command v={v} key={action} action={action} onClick={kind === "server" && action === "kill"
							? () => { v.sure = name; v.refresh(); } : act(name, action)}>
							{action[0].toUpperCase() + action.slice(1)}</Command>)}
				</div></div>)}</div>
		{waits > 0 && <p class="sv-note sv-waits" data-waiting={waits}>{waiting(waits)}</p>}
	</Panel>;
}

// ---------------------------------------------------------------- playground

/** @param {Props} props */
function Playground({ v }) {
	const tools = v.options.reset && <div class="sv-tools">
		<Command v={v} action="reset" onClick={() => v.ask("playground", { kind: "reset" }, "reset")}>Reset</Command></div>;
	return <Panel v={v} name="playground" title="Playground" tools={tools}>
		<div class="sv-forms"><Truncate v={v} /><Publish v={v} /><Open v={v} /></div></Panel>;
}

/** A form that sends `content` when it is submitted. @param {any} props */
const Form = ({ v, title, content, doing, children, panel = "playground" }) =>
	<form class={`sv-form sv-${content.kind}`} aria-label={title}
		onSubmit={(event) => { event.preventDefault(); v.ask(panel, content, doing); }}><h4>{title}</h4>{children}</form>;

/** What would go, and who would miss it. @param {Props} props */
function Foreseen({ v }) {
	const { base } = v.items, upTo = v.preview ?? base, goes = upTo - base;
	return <>
		<p class="sv-note" data-up-to={upTo} data-goes={goes}>{goes ? `${offsets(base, goes)} would go: ${plural(goes, "item")}.`
			: "Move the slider, or drag the handle at the base: what would go is shaded on the tape."}</p>
		<ul class="sv-strands" aria-label="Readers left behind">{(goes ? stranded(v.frame.readers, upTo, v.items) : []).map(({ key, name, misses, exact }) =>
			<li key={key} data-name={name} data-misses={misses}>{short(name)} would miss {exact ? "" : "up to "}{count(misses)}</li>)}</ul>
	</>;
}

/** The truncation that was begun at the tape. @param {Props} props */
function Cut({ v }) {
	const upTo = v.preview ?? 0;
	return <Form v={v} title="Truncate" panel="tape" content={{ kind: "truncate", up_to: upTo }} doing={`truncate ${upTo}`}>
		<Foreseen v={v} />
		<div class="sv-line"><Command v={v} action="truncate" type="submit">Truncate</Command>
			<Button onClick={() => v.foresee(0)}>Cancel</Button></div></Form>;
}

/** Every control previews; only the button does it. @param {Props} props */
function Truncate({ v }) {
	const { base, end } = v.items, { ok = false, why = "" } = v.frame.truncate ?? {}, upTo = v.preview ?? base;
	const { ok: can = false, says = "" } = v.frame.retain ?? {}, keep = v.keeping ?? end - upTo;
	const retain = (/** @type {number} */ n, /** @type {string} */ doing) => () => v.ask("playground", { kind: "retain", max_items: n }, doing);
	const props = { v, value: upTo, min: base, max: end, then: (/** @type {number} */ n) => v.foresee(n) };
	return <Form v={v} title="Truncate" content={{ kind: "truncate", up_to: upTo }} doing={`truncate ${upTo}`}>
		<Field {...props} name="slide" type="range" aria-label="Truncate up to offset" />
		<div class="sv-line"><Field {...props} label="up to" name="up_to" />
			<Field v={v} label="keep last" name="keep" value={keep} then={(/** @type {number} */ n) => v.foresee(end - n, n)} />
			<Command v={v} action="truncate" type="submit" ok={ok && upTo > base} title={why}>Truncate</Command>
			{can && <Command v={v} action="retain" ok={v.state !== "closed" && keep > 0} title="by itself, as items come"
				onClick={retain(keep, `always keep ${count(keep)}`)}>Always</Command>}</div>
		{says && <div class="sv-line"><span class="sv-note" data-keeps={says}>{says}</span>
			{can && <Command v={v} action="keep" ok={v.state !== "closed"} onClick={retain(0, "keep everything")}>Keep everything</Command>}</div>}
		<Foreseen v={v} />
		{!ok && why && <p class="sv-note">{why}</p>}
	</Form>;
}

/** @param {Props} props */
function Publish({ v }) {
	const { topic, text, times, lose } = v.form, n = Math.max(1, whole(times)), going = v.frame.publishing;
	const content = { kind: "publish", topic, text, count: n, lose_ack: lose }, words = { v, type: "text" };
	return <Form v={v} title="Publish" content={content} doing={`publish ${count(n)} to ${short(topic, 16)}`}>
		<div class="sv-line"><Field {...words} label="topic" name="topic" /><Field {...words} label="text" name="text" />
			<Field v={v} label="times" name="times" min={1} /></div>
		<label class="sv-check"><input type="checkbox" name="lose_ack" checked={lose}
			onChange={({ currentTarget }) => { v.form.lose = currentTarget.checked; v.refresh(); }} />lose the acknowledgement</label>
		<div class="sv-line"><Command v={v} action="publish" type="submit" ok={v.state !== "closed"}>Publish</Command>
			{going ? <Command v={v} action="stop" onClick={() => v.ask("playground", { kind: "publish_pace", rate: 0 }, "stop publishing")}>Stop ({going}/s)</Command>
				: <Command v={v} action="pace" ok={v.state !== "closed"} onClick={() => v.ask("playground", { kind: "publish_pace", topic, text, rate: n }, `publish ${n} a second`)}>
					{count(n)} a second</Command>}</div>
	</Form>;
}

/** @param {Props} props */
function Open({ v }) {
	const { from, at, gap } = v.form, begin = { oldest: v.items.base, latest: "latest", offset: whole(at) }[/** @type {"oldest"} */ (from)];
	return <Form v={v} title="Open a reader" content={{ kind: "open", from: begin, on_truncated: gap }} doing="open a reader">
		<div class="sv-line"><Field v={v} label="from" name="from">
			<option value="oldest">the oldest</option><option value="latest">the end</option><option value="offset">offset …</option></Field>
			{from === "offset" && <Field v={v} name="at" aria-label="Offset to open from" />}</div>
		<div class="sv-line"><Field v={v} label="at a gap" name="gap"><option value="skip">skip it</option><option value="raise">raise</option></Field>
			<Command v={v} action="open" type="submit">Open</Command></div>
		{gap === "raise" && begin === 0 && <p class="sv-note">From 0 means the oldest there is: it never raises before its first item.</p>}
	</Form>;
}

/** @type {Record<string, (props: Props) => any>} */
const PANELS = { tape: Tape, readers: Readers, dedup: Publishers, cost: Cost, background: Background, playground: Playground };

// ---------------------------------------------------------------- mouse, wheel and keys

/** What is done when a node is there, or goes: stable, so that it is done once. @param {View} v */
export function listens(v) {
	return {
		canvas: (/** @type {HTMLCanvasElement | null} */ node) => { v.canvas = node; },
		overview: (/** @type {HTMLCanvasElement | null} */ node) => { v.overview = node; },
		track: (/** @type {HTMLElement | null} */ node) => { if (node) listenTape(v, node); },
		strip: (/** @type {HTMLElement | null} */ node) => { if (node) listenStrip(v, node); },
	};
}

/** Pixels of the view, whatever the page's zoom. @param {{clientX: number, clientY: number}} event @param {HTMLElement} node */
function at({ clientX, clientY }, node) {
	const box = node.getBoundingClientRect(), zoomed = box.width / node.offsetWidth || 1;
	return { x: (clientX - box.left) / zoomed, y: (clientY - box.top) / zoomed };
}

/** @param {View} v @param {HTMLElement} node */
function listenTape(v, node) {
	/** @type {{x: number, left: number, moved: boolean, cut: boolean} | null} */
	let drag = null;
	const find = (/** @type {PointerEvent} */ event) => {
		const { x, y } = at(event, node);
		return hit(x, y, v);
	};
	const hover = (/** @type {import("./geometry.js").Hit | null} */ found) => {
		const said = v.say(v.hover);
		v.hover = found;
		if (v.say(found) !== said) v.refresh();
		node.toggleAttribute("data-grip", found?.kind === "edge");
	};
	Object.assign(node, {
		onpointerdown(/** @type {PointerEvent} */ event) {
			if (event.button) return;
			drag = { x: at(event, node).x, left: v.place.left, moved: false, cut: find(event).kind === "edge" };
			node.setPointerCapture(event.pointerId);
		},
		onpointermove(/** @type {PointerEvent} */ event) {
			if (!drag) return hover(find(event));
			const { x } = at(event, node);
			drag.moved ||= Math.abs(x - drag.x) > 4;
			if (drag.cut) v.foresee(offsetAt(x + v.place.scale / 2, v.place));
			else if (drag.moved) v.move(pan(v.place, v.space(), drag.left - (x - drag.x) / v.place.scale));
		},
		onpointerup(/** @type {PointerEvent} */ event) {
			if (drag && !drag.moved && !drag.cut) v.choose(find(event));
			drag = null;
		},
		onpointercancel() { drag = null; },
		onpointerleave: () => hover(null),
		onkeydown: (/** @type {KeyboardEvent} */ event) => onKey(v, event),
		onwheel(/** @type {WheelEvent} */ event) {
			const { ctrlKey, metaKey, shiftKey, deltaX, deltaY } = event, { left, scale } = v.place;
			if (ctrlKey || metaKey) v.move(zoom(v.place, v.space(), Math.exp(-clamp(deltaY, -60, 60) / 90), at(event, node).x));
			else if (shiftKey || Math.abs(deltaX) > Math.abs(deltaY)) v.move(pan(v.place, v.space(), left + (deltaX || deltaY) / scale));
			// It scrolls the page.
			else return;
			event.preventDefault();
		},
	});
}

/** @param {View} v @param {HTMLElement} node */
function listenStrip(v, node) {
	const jump = (/** @type {PointerEvent} */ event) => {
		const middle = (at(event, node).x / v.width) * Math.max(v.items.end, 60);
		v.move(pan(v.place, v.space(), middle - v.width / v.place.scale / 2));
	};
	node.onpointerdown = (event) => { node.setPointerCapture(event.pointerId); jump(event); };
	node.onpointermove = (event) => { if (event.buttons) jump(event); };
}

/** @param {View} v @param {KeyboardEvent} event */
function onKey(v, event) {
	if (event.ctrlKey || event.metaKey || event.altKey) return;
	const { base, end } = v.items, here = v.selected ?? end, page = Math.max(1, Math.floor(v.width / v.place.scale) - 1);
	const to = {
		ArrowLeft: here - 1, ArrowDown: here - 1, ArrowRight: here + 1, ArrowUp: here + 1, PageDown: here - page,
		PageUp: here + page, Home: base, End: end - 1, Enter: here,
	}[event.key];
	if (event.key === "Escape") {
		v.choose();
		v.foresee(0);
	} else if (to !== undefined && end > base) v.select(clamp(to, base, end - 1), event.key === "Enter" || !!v.card);
	else return;
	event.preventDefault();
}
