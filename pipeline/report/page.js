"use strict";
// Draws what stands in the page as JSON. Texts of samples reach the page by append() and textContent only.
// The training's parts are in training.js, which stands before this in the page.

const PAGE = 20; // samples of a column at once: what a phone draws within a keystroke
const MARKS = 30; // of a text, for the same reason: one sign may be found hundreds of times
const SETS = { train: "training", unseen: "unseen test", reworded: "reworded test" };
const WHY = {
  score: "low score", malformed: "malformed answer", empty: "empty answer", cut: "answer cut off", failed: "request failed",
  same: "repeats a sample", near: "too like a sample", seed: "too like a seed", taxonomy: "in the taxonomy already",
  unseen: "too near the unseen test",
};
const LIKE = { same: "repeats sample", near: "too like sample", seed: "too like seed example", unseen: "too near unseen sample" };
const PLAIN = ["state", "set", "leaf", "seed"]; // what a sample has one of
const VERDICT = ["step", "score", "why"]; // what each of its verdicts has one of
const PARTS = { funnel, scores, curves, settings, samples }; // by the name of the section and of the data

const by = (id) => document.getElementById(id);
const number = (count) => count.toLocaleString("en");
const plain = (name) => name.replaceAll("_", " ");
const folded = (text) => text.normalize("NFKC").toLowerCase();

function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

// A text of a sample or of a person: in its own direction, with what was searched for marked.
function text(words, said, kind = "", tag = "p") {
  // Kana are Japanese alone: without the language, Han signs are drawn as Chinese writes them.
  const lang = /[\u3040-\u30ff]/.test(said) ? "ja" : "";
  return make(tag, { class: `text ${kind}`, dir: "auto", lang }, ...marked(words, said));
}

function marked(words, said) {
  const low = folded(said);
  if (!words.length || low.length !== said.length) return [said]; // folding moved the places: nothing is marked
  const spans = words.flatMap((word) => places(low, word)).sort((one, other) => one[0] - other[0]);
  const parts = [];
  let at = 0;
  for (const [from, to] of spans.slice(0, MARKS)) {
    if (from < at) continue;
    parts.push(said.slice(at, from), make("mark", {}, said.slice(from, to)));
    at = to;
  }
  return [...parts, said.slice(at)];
}

function places(low, word) {
  const found = [];
  for (let at = low.indexOf(word); at >= 0 && found.length < MARKS; at = low.indexOf(word, at + word.length)) {
    found.push([at, at + word.length]);
  }
  return found;
}

// --- the funnel

function funnel(data) {
  const dropped = data.made - data.kept;
  tile("kept", data.kept, `kept of ${number(data.made)}`);
  tile("dropped", dropped, "dropped");
  if (data.unseen) tile("", data.unseen.kept ?? 0, "held out as the unseen test");
  if (data.reworded) tile("", data.reworded.kept ?? 0, "in the reworded test");
  if (data.unseen?.too_near !== undefined) tile("", data.unseen.too_near, `too near the unseen test${nearest(data)}`);
  const reasons = Object.entries(data.reasons ?? {}).map(([name, count]) => [...name.split(":"), count]);
  const lost = data.lost ?? []; // requests for lists that led to no sample: there is none to show
  const known = data.steps ?? [];
  const others = [...new Set([...reasons.map(([step]) => step), ...lost.map(({ step }) => step)])].filter((step) => !known.some(([name]) => name === step));
  const widest = Math.max(1, ...known.map(([, passed, lost]) => passed + lost));
  for (const [step, passed, fell] of [...known, ...others.map((step) => [step])]) {
    const buttons = reasons.filter(([name]) => name === step).map(([, why, count]) => reason(step, why, count));
    const lists = lost.filter((one) => one.step === step).map(unread);
    const row = make("tr", {}, make("th", { scope: "row" }, plain(step)), make("td", {}), make("td", {}, ...buttons, ...lists));
    if (passed !== undefined) row.children[1].append(...bar(passed, fell, widest));
    by("steps").tBodies[0].append(row);
  }
  by("steps").hidden = !by("steps").tBodies[0].rows.length;
}

function nearest({ unseen }) {
  return unseen.nearest === undefined ? "" : ` (the nearest kept: ${Math.round(100 * unseen.nearest)}% alike)`;
}

function tile(kind, count, words) {
  by("tiles").append(make("li", { class: kind }, make("b", {}, number(count)), make("span", {}, words)));
}

function bar(passed, lost, widest) {
  const drawn = make("div", { class: "bar", "aria-hidden": "true" }, make("i", { class: "kept" }), make("i", { class: "dropped" }));
  drawn.children[0].style.width = `${(100 * passed) / widest}%`;
  drawn.children[1].style.width = `${(100 * lost) / widest}%`;
  return [drawn, make("span", { class: "count" }, `${number(passed)} passed · ${number(lost)} dropped`)];
}

function reason(step, why, count) {
  const made = make("button", { type: "button", class: "reason" }, `${WHY[why] ?? why} ${number(count)}`);
  made.addEventListener("click", () => show({ state: "dropped", set: "train", step, why }));
  return made;
}

function unread({ why, count, wrong }) {
  const told = `${number(count)} ${count === 1 ? "list" : "lists"} lost: ${WHY[why] ?? why}`;
  return make("p", { class: "lists" }, told, wrong ? ", first: " : "", wrong ? text([], wrong, "", "q") : "");
}

// --- the settings

function settings(data) {
  by("plan").append(drawn(data));
}

// Any JSON, for reading: the plan says what its stage wants to say.
function drawn(value) {
  if (Array.isArray(value)) return list(value);
  if (value === null || typeof value !== "object") return text([], value === null ? "none" : String(value), "", "span");
  const pairs = Object.entries(value).flatMap(([name, one]) => [make("dt", {}, plain(name)), make("dd", {}, drawn(one))]);
  return make("dl", {}, ...pairs);
}

function list(values) {
  if (!values.length) return text([], "none", "", "span");
  if (values.every((one) => one !== null && typeof one === "object")) return table(values);
  return make("span", {}, ...values.flatMap((one, at) => (at ? [" · ", drawn(one)] : [drawn(one)])));
}

function table(values) {
  const names = [...new Set(values.flatMap((one) => Object.keys(one)))];
  const heads = values.every(Array.isArray) ? [] : names.map((name) => make("th", { scope: "col" }, plain(name)));
  const lines = values.map((one) => make("tr", {}, ...names.map((name) => make("td", {}, name in one ? drawn(one[name]) : ""))));
  return make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...lines));
}

// --- the samples

let rows = [];
let words = [];
let shown = { kept: [], dropped: [] };
const page = { kept: 0, dropped: 0 };

function samples(data) {
  const texts = [];
  const low = new Map();
  rows = data.rows.map((row) => read(row, texts, low));
  const leaves = [...new Set(rows.map((row) => row.leaf))];
  by("about").textContent = leaves.slice(0, 3).join(" · ") + (leaves.length > 3 ? ` · and ${leaves.length - 3} more` : "");
  if (data.shown < data.total) cut(data);
  fill();
  by("filters").addEventListener("submit", (event) => event.preventDefault());
  by("filters").addEventListener("input", renew);
  by("filters").addEventListener("reset", (event) => {
    event.preventDefault(); // it would come after what is drawn here
    choose({});
  });
  document.addEventListener("keydown", keyed);
  if (rows.some((row) => row.set === "train")) set("set", "train"); // what the funnel counts
  const narrow = matchMedia("(max-width: 56rem)").matches; // one column: two lists would stand one below the other
  if (narrow) set("state", "kept");
  by("more").open = !narrow;
  renew();
}

function cut({ shown: few, total, file }) {
  by("cut").textContent =
    `This page has ${number(few)} of ${number(total)} samples, taken evenly from first to last, so that it stays quick. ` +
    `All of them are in ${file} and in the folder holdout beside it; the counts above are of all.`;
  by("cut").hidden = false;
}

// A row as it is searched: its texts folded, its plain values as texts, and every verdict on it.
function read(row, texts, low) {
  for (const name of ["context", "document"]) {
    if (typeof row[name] === "number") row[name] = texts[row[name]];
    else if (row[name]) texts.push(row[name]);
  }
  const shared = row.context ?? row.document ?? "";
  if (!low.has(shared)) low.set(shared, folded(shared));
  const scores = row.scores ?? [];
  const own = [row.question, row.answer, row.near, ...scores.map((one) => one.reason)];
  const verdicts = scores.map(({ step, score }) => ({ step, score: String(score), why: row.at === step ? (row.why ?? "") : "" }));
  if (!scores.some(({ step }) => step === row.at)) verdicts.push({ step: row.at ?? "", score: "", why: row.why ?? "" });
  const about = { state: row.kept ? "kept" : "dropped", set: row.set, leaf: row.leaf, seed: String(row.seed ?? 0) };
  return { ...row, scores, verdicts, about, own: folded(own.filter(Boolean).join("\n")), shared: low.get(shared) };
}

// The choices of every filter: what the samples have.
function fill() {
  for (const name of [...PLAIN, ...VERDICT].filter((name) => name !== "state")) {
    const found = new Set(rows.flatMap((row) => (name in row.about ? [row.about[name]] : row.verdicts.map((one) => one[name]))));
    found.delete("");
    const numbers = ["seed", "score"].includes(name);
    const values = [...found].sort((one, other) => (numbers ? one - other : 0));
    const select = choice(name);
    select.append(make("option", { value: "" }, "any"), ...values.map((value) => make("option", { value, dir: "auto" })));
    select.parentElement.hidden = values.length < 2 && !(name === "why" && values.length);
  }
}

const choice = (name) => by("filters").elements[name];

function label(name, value) {
  if (name === "why") return WHY[value] ?? value;
  if (name === "set") return SETS[value] ?? value;
  if (name === "seed") return value === "0" ? "none" : value;
  return name === "step" ? plain(value) : value;
}

function set(name, value) {
  choice(name).value = value;
}

// These filters and no others.
function choose(wanted) {
  by("query").value = wanted.query ?? "";
  for (const name of [...PLAIN, ...VERDICT]) set(name, wanted[name] ?? "");
  renew();
}

// What a press elsewhere on the page asks for.
function show(wanted) {
  choose(wanted);
  by("more").open = true;
  by("samples").scrollIntoView();
}

function keyed(event) {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("input[type=search], select")) return;
  event.preventDefault();
  by("query").focus();
  by("query").select();
}

function renew() {
  words = folded(by("query").value).split(/\s+/).filter(Boolean);
  const wanted = Object.fromEntries([...PLAIN, ...VERDICT].map((name) => [name, choice(name).value]));
  const { passed, counts } = sift(wanted);
  shown = { kept: passed.filter((row) => row.kept), dropped: passed.filter((row) => !row.kept) };
  page.kept = page.dropped = 0;
  by("found").textContent = `${number(passed.length)} of ${number(rows.length)}`;
  for (const select of by("selects").querySelectorAll("select")) {
    select.classList.toggle("set", select.value !== "");
    for (const option of [...select.options].slice(1)) {
      option.textContent = `${label(select.name, option.value)} (${number(counts[select.name].get(option.value) ?? 0)})`;
    }
  }
  for (const column of document.querySelectorAll(".column")) {
    const { state } = column.dataset;
    column.hidden = wanted.state !== "" && wanted.state !== state;
    column.querySelector("h3").textContent = `${state === "kept" ? "Kept" : "Dropped"}: ${number(shown[state].length)}`;
    draw(column);
  }
}

// The rows that pass all filters, and for every choice of a filter how many would pass with it and all the others.
function sift(wanted) {
  const passed = [];
  const counts = Object.fromEntries([...PLAIN, ...VERDICT].map((name) => [name, new Map()]));
  const count = (name, value) => counts[name].set(value, (counts[name].get(value) ?? 0) + 1);
  const [plain, verdict] = [PLAIN, VERDICT].map((names) => names.filter((name) => wanted[name] !== ""));
  const finds = words.map(finder);
  const misses = (names, has) => names.filter((name) => has[name] !== wanted[name]);
  for (const row of rows) {
    if (!finds.every((find) => find(row))) continue;
    const off = misses(plain, row.about);
    const offs = row.verdicts.map((one) => misses(verdict, one));
    const judged = offs.some((one) => !one.length);
    if (judged && !off.length) passed.push(row);
    if (judged) for (const name of PLAIN) if (off.every((one) => one === name)) count(name, row.about[name]);
    if (off.length) continue;
    for (const name of VERDICT) {
      const values = row.verdicts.filter((_, at) => offs[at].every((one) => one === name)).map((one) => one[name]);
      for (const value of new Set(values)) count(name, value);
    }
  }
  return { passed, counts };
}

// Says whether a row has a word. Many rows share a document, which is searched once.
function finder(word) {
  if (/^#\d+$/.test(word)) return (row) => row.number === Number(word.slice(1));
  const documents = new Map();
  return (row) => {
    if (row.own.includes(word)) return true;
    if (!documents.has(row.shared)) documents.set(row.shared, row.shared.includes(word));
    return documents.get(row.shared);
  };
}

// One page of a column.
function draw(column) {
  const { state } = column.dataset;
  const first = page[state] * PAGE;
  const all = shown[state];
  const few = all.slice(first, first + PAGE);
  const nothing = make("li", { class: "faint" }, "Nothing here with these filters.");
  column.querySelector("ol").replaceChildren(...(few.length ? few.map(card) : [nothing]));
  const back = turn(column, -1, "Previous", first > 0);
  const on = turn(column, 1, "Next", first + PAGE < all.length);
  const where = make("span", { class: "faint" }, `${number(first + 1)} to ${number(first + few.length)} of ${number(all.length)}`);
  column.querySelector("nav").replaceChildren(...(all.length > PAGE ? [back, where, on] : []));
}

function turn(column, pages, name, can) {
  const made = make("button", { type: "button", ...(can ? {} : { disabled: "" }) }, name);
  made.addEventListener("click", () => {
    page[column.dataset.state] += pages;
    draw(column); // the button is a new one: the keyboard goes on from it, or from its neighbour at an end
    const buttons = [...column.querySelectorAll("nav button")];
    (buttons.find((one) => one.textContent === name && !one.disabled) ?? buttons.find((one) => !one.disabled)).focus();
    column.scrollIntoView();
  });
  return made;
}

function card(row) {
  const facet = Object.values(row.facet ?? {}).join(" · ");
  const head = make("h4", {},
    make("b", {}, `#${row.number}`),
    ...(row.set === "train" ? [] : [make("span", {}, SETS[row.set] ?? row.set)]),
    ...(row.seed ? [make("span", {}, `from seed example ${row.seed}`)] : []),
    ...(choice("leaf").parentElement.hidden ? [] : [make("span", { dir: "auto" }, row.leaf)]),
    ...(facet ? [make("span", { dir: "auto" }, facet)] : []),
  );
  return make("li", {}, make("article", { class: `sample ${row.about.state}`, "aria-label": `Sample ${row.number}` },
    head,
    row.context && folds("Context", row.context, true),
    row.document && folds("Document", row.document, words.some((word) => !row.own.includes(word) && !word.startsWith("#"))),
    text(words, row.question, "question"),
    row.answer ? text(words, row.answer, "answer") : make("p", { class: "faint" }, "No answer was made."),
    ...(row.kept ? [] : verdict(row)),
    ...(row.scores.length ? [make("ul", { class: "scores" }, ...row.scores.map((one) => score(row, one)))] : []),
  ));
}

// A text that may be long: closed, it is not drawn.
function folds(name, said, open) {
  const made = make("details", open ? { open: "" } : {}, make("summary", {}, name), ...(open ? [text(words, said)] : []));
  made.addEventListener("toggle", () => made.children.length > 1 || made.append(text(words, said)));
  return made;
}

function verdict(row) {
  const what = row.of && row.why in LIKE ? `${LIKE[row.why]} ${row.of}` : (WHY[row.why] ?? row.why);
  const said = make("p", { class: "verdict" }, `Dropped at ${plain(row.at ?? "")}: ${what}`);
  if (!row.near) return [said];
  const other = make("div", { class: "like" }, text(words, row.near));
  if (row.of && row.why !== "seed") {
    const button = make("button", { type: "button" }, `Show sample ${row.of}`);
    button.addEventListener("click", () => show({ query: `#${row.of}`, set: row.why === "unseen" ? "unseen" : row.set }));
    other.append(button);
  }
  return [said, other];
}

function score(row, { step, score: given, reason: said }) {
  const low = row.at === step && row.why === "score" ? "low" : undefined;
  return make("li", { class: low }, make("span", {}, plain(step)), make("b", {}, String(given)), text(words, said ?? "", "", "span"));
}

for (const [name, part] of Object.entries(PARTS)) {
  const data = by(`${name}-data`);
  if (!data) continue;
  part(JSON.parse(data.textContent));
  by(name).hidden = false;
}
