"use strict";
// The training's parts of the page: base and tuned model compared, and the curves of the loss. What page.js has is used here.

const VERDICTS = {
  better: "Better", none: "No difference shown", worse: "Worse", few: "Too few to tell",
  kept: "No loss is shown", lost: "Some of it is lost",
};
const COMPARED = { unseen: "never seen", reworded: "reworded seed questions", forgetting: "what it knew before" };
const KINDS = {
  "": () => true,
  "became right": (one) => one.right_after && !one.right_before,
  "became wrong": (one) => one.right_before && !one.right_after,
  "right before and after": (one) => one.right_before && one.right_after,
  "wrong before and after": (one) => !one.right_before && !one.right_after,
};
const FEW = 20; // answers at once
const WIDE = 860, HIGH = 300, LEFT = 46, RIGHT = 12, TOP = 12, BOTTOM = 30; // of the chart, in its own units
const SMOOTHED = 0.9; // of the running mean of the loss

function drawing(tag, attributes, ...children) {
  const made = document.createElementNS(by("chart").namespaceURI, tag); // the name of SVG, as the page's own has it
  for (const [name, value] of Object.entries(attributes ?? {})) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const percent = (share) => `${Math.round(100 * share)}%`;

// --- base and tuned model compared

function scores(data) {
  for (const name of Object.keys(COMPARED)) if (data[name]) by("compared").tBodies[0].append(comparison(name, data[name]));
  by("notes").append(...(data.notes ?? []).map((one) => make("p", { class: "note" }, one)));
  if (data.forgetting) families(data.forgetting.families);
  if (data.seeds?.length) seeds(data.seeds);
  if (data.examples?.length) answers(data.examples);
}

function comparison(name, one) {
  const heard = { exact: letters, f1: shares, judge: preferred }[one.by ?? "exact"](one);
  const verdict = make("b", { class: `said ${one.verdict}` }, one.withheld ? "No verdict: answers were cut" : (VERDICTS[one.verdict] ?? one.verdict));
  const apart = one.independent < one.asked ? ` (${number(one.independent)} independent)` : "";
  return make("tr", {},
    make("th", { scope: "row" }, `${number(one.asked)} ${COMPARED[name]}${apart}`),
    make("td", { "data-side": "before" }, heard.before), make("td", { "data-side": "after" }, heard.after),
    make("td", { class: "plot" }, between(heard.sides)),
    make("td", {}, verdict, " ", make("span", { class: "faint" }, heard.how)),
  );
}

function letters({ before, after, difference }) {
  const side = (one) => `${number(one.right)} (${percent(one.share)})`;
  return { before: side(before), after: side(after), sides: [before, after], how: chance(difference, "right answers") };
}

function shares({ before, after, difference }) {
  const sides = [before, after].map((one) => ({ share: one.f1, low: one.f1_low, high: one.f1_high }));
  return { before: before.f1.toFixed(2), after: after.f1.toFixed(2), sides, how: chance(difference, "words shared with the wanted answer (F1)") };
}

function preferred({ pairwise, difference }) {
  const told = chance(difference, `answers that the judge preferred; ${number(pairwise.same)} alike`);
  return { before: number(pairwise.before), after: number(pairwise.after), sides: [undefined, pairwise], how: told };
}

const chance = ({ p }, what) => `by ${what}, p\u00a0${p < 0.001 ? "<\u00a00.001" : p.toFixed(3)}`;

// Shares of base and tuned model with their intervals, one below the other, from 0 to 100%.
function between(sides) {
  const names = ["before", "after"];
  const place = (share) => 4 + 192 * share;
  const told = sides.flatMap((one, at) => (one ? [`${names[at]} ${percent(one.low)} to ${percent(one.high)}`] : []));
  const drawn = drawing("svg", { viewBox: "0 0 200 44", role: "img", "aria-label": told.join(", ") });
  drawn.append(drawing("line", { class: "axis", x1: 4, x2: 196, y1: 40, y2: 40 }));
  for (const tick of [0, 0.5, 1]) drawn.append(drawing("line", { class: "axis", x1: place(tick), x2: place(tick), y1: 37, y2: 43 }));
  sides.forEach((one, at) => {
    if (!one) return;
    const y = 10 + 16 * at;
    const whisker = drawing("line", { class: `whisker ${names[at]}`, x1: place(one.low), x2: place(one.high), y1: y, y2: y });
    const mark = at
      ? drawing("circle", { class: "mark after", cx: place(one.share), cy: y, r: 5 })
      : drawing("rect", { class: "mark before", x: place(one.share) - 4, y: y - 4, width: 8, height: 8 });
    drawn.append(whisker, mark);
  });
  return make("div", {}, drawn, make("span", { class: "count" }, told.join(" · ")));
}

function families(found) {
  const rows = Object.entries(found).map(([name, { asked, before, after }]) => ({ "kind of question": name, asked, before, after }));
  if (!rows.length) return;
  by("families").append(table(rows));
  by("families").hidden = false;
}

function seeds(found) {
  by("seeds").hidden = false;
  by("seeds").querySelector("ol").append(...found.map((one) => answered(one, [], one.held ? "held out" : "")));
}

function answers(rows) {
  const held = rows.map((one) => ({ ...one, low: folded([one.question, one.context ?? "", one.wanted, one.before, one.after].join("\n")) }));
  const kinds = Object.keys(KINDS).filter((name) => held.some(KINDS[name]));
  by("answer-kind").append(...kinds.map((name) => make("option", { value: name }, `${name || "all"} (${number(held.filter(KINDS[name]).length)})`)));
  by("answers").hidden = false;
  let many = FEW;
  const renewed = () => {
    const searched = folded(by("answer-query").value).split(/\s+/).filter(Boolean);
    const found = held.filter((one) => KINDS[by("answer-kind").value](one) && searched.every((word) => one.low.includes(word)));
    const few = found.slice(0, many).map((one) => answered(one, searched, one.set === "unseen" ? "" : (SETS[one.set] ?? one.set)));
    by("answer-found").textContent = `${number(found.length)} of ${number(held.length)}`;
    by("answers").querySelector("ol").replaceChildren(...(few.length ? few : [make("li", { class: "faint" }, "Nothing here.")]));
    by("answer-more").hidden = found.length <= many;
  };
  const begin = () => {
    many = FEW;
    renewed();
  };
  by("answer-query").addEventListener("input", begin);
  by("answer-kind").addEventListener("input", begin);
  by("answer-more").addEventListener("click", () => {
    many += FEW;
    renewed();
  });
  begin();
}

function answered(one, searched, where) {
  const head = make("h4", {}, make("b", {}, `#${one.number}`), ...(where ? [make("span", {}, where)] : []));
  const said = (name, right) => [
    make("dt", {}, name, ...(right === undefined ? [] : [make("b", { class: right ? "right" : "wrong" }, right ? "right" : "wrong")])),
    make("dd", {}, one[name] ? text(searched, one[name]) : make("span", { class: "faint" }, "nothing")),
  ];
  return make("li", {}, make("article", { class: "sample answered" },
    head,
    ...(one.context ? [text(searched, one.context, "context")] : []),
    text(searched, one.question, "question"),
    make("dl", {}, ...said("wanted"), ...said("before", one.right_before), ...said("after", one.right_after)),
    ...(one.preferred ? [make("p", { class: "faint" }, `The judge preferred the one ${one.preferred > 0 ? "after" : "before"}.`)] : []),
  ));
}

// --- the curves

function curves(data) {
  const points = data.points.map(([step, loss, rate, tokens, seconds]) => ({ step, loss, rate, tokens, seconds }));
  const held = data.held.filter((one) => Number.isFinite(one.loss));
  by("course").textContent = course(data, points);
  chart(points, held, data.best?.step);
  if (!held.length) return;
  const rows = held.map((one) => ({ step: one.step, loss: one.loss.toFixed(3), ...rightOf(one), kept: one.step === data.best?.step ? "the best" : "" }));
  by("checkpoints").append(table(rows));
  by("checkpoints").hidden = false;
}

const rightOf = ({ right, asked }) => (asked ? { "right answers": `${number(right)} of ${number(asked)}` } : {});

function course(data, points) {
  const [tokens, seconds] = ["tokens", "seconds"].map((name) => points.reduce((sum, one) => sum + one[name], 0));
  const speed = seconds > 0 ? [`${number(Math.round(tokens / seconds))} tokens a second`] : [];
  const where = [data.base?.name, data.device, data.precision].filter(Boolean);
  return [`${number(data.steps)} steps`, `${number(tokens)} tokens`, ...speed, ...where].join(" · ");
}

function chart(points, held, best) {
  const running = smoothed(points);
  const losses = [...points, ...held].map((one) => one.loss).filter(Number.isFinite).sort((one, other) => one - other);
  const most = Math.max(0.1, losses[Math.floor(0.995 * (losses.length - 1))] ?? 1, ...held.map((one) => one.loss)); // single spikes may leave the picture
  const last = Math.max(1, points.at(-1).step, ...held.map((one) => one.step));
  const x = (step) => LEFT + ((WIDE - LEFT - RIGHT) * step) / last;
  const y = (loss) => HIGH - BOTTOM - (HIGH - TOP - BOTTOM) * Math.min(1, loss / most);
  const path = (rows) => rows.map((one, at) => `${at ? "L" : "M"}${x(one.step).toFixed(1)} ${y(one.loss).toFixed(1)}`).join("");
  const seen = points.filter((one) => Number.isFinite(one.loss));
  const label = `Loss of ${number(points.at(-1).step)} steps: from ${seen[0]?.loss.toFixed(2)} to ${running.at(-1)?.loss.toFixed(2)}`;
  const drawn = by("chart");
  drawn.setAttribute("viewBox", `0 0 ${WIDE} ${HIGH}`);
  drawn.setAttribute("aria-label", label);
  drawn.append(...axes(most, last, x, y));
  drawn.append(drawing("path", { class: "line trained faint", d: path(seen) }), drawing("path", { class: "line trained", d: path(running) }));
  drawn.append(drawing("path", { class: "line held", d: path(held) }));
  for (const one of held) drawn.append(drawing("circle", { class: one.step === best ? "mark held best" : "mark held", cx: x(one.step), cy: y(one.loss), r: one.step === best ? 6 : 4 }));
  const cross = drawing("line", { class: "cross", y1: TOP, y2: HIGH - BOTTOM });
  cross.style.display = "none";
  drawn.append(cross);
  pointed(drawn, cross, points, held, x, last);
}

// Without its lean towards the first, as Adam corrects its own.
function smoothed(points) {
  let mean = 0;
  let weight = 0;
  return points.flatMap(({ step, loss }) => {
    if (!Number.isFinite(loss)) return [];
    mean = SMOOTHED * mean + (1 - SMOOTHED) * loss;
    weight = SMOOTHED * weight + (1 - SMOOTHED);
    return [{ step, loss: mean / weight }];
  });
}

function axes(most, last, x, y) {
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  const across = ticks.flatMap((share) => [
    drawing("line", { class: "grid", x1: LEFT, x2: WIDE - RIGHT, y1: y(share * most), y2: y(share * most) }),
    drawing("text", { class: "tick end", x: LEFT - 6, y: y(share * most) + 4 }, (share * most).toFixed(most < 2 ? 2 : 1)),
  ]);
  const along = ticks.map((share) => drawing("text", { class: "tick middle", x: x(share * last), y: HIGH - 8 }, number(Math.round(share * last))));
  return [...across, ...along];
}

// What stands at the step that somebody points at, or goes to with the arrow keys.
function pointed(drawn, cross, points, held, x, last) {
  let at = points.length - 1;
  const tell = () => {
    const { step, loss, rate, tokens, seconds } = points[at];
    const near = held.findLast((one) => one.step <= step);
    const told = [`step ${number(step)}`, `loss ${Number.isFinite(loss) ? loss.toFixed(3) : "no number"}`];
    if (near) told.push(`held-out ${near.loss.toFixed(3)} (step ${number(near.step)})`);
    if (rate) told.push(`rate ${rate.toExponential(1)}`);
    if (seconds > 0) told.push(`${number(Math.round(tokens / seconds))} tokens/s`);
    by("at").textContent = told.join(" · ");
    cross.setAttribute("x1", x(step));
    cross.setAttribute("x2", x(step));
    cross.style.display = "";
  };
  drawn.addEventListener("pointermove", (event) => {
    const box = drawn.getBoundingClientRect();
    const step = (((event.clientX - box.left) / box.width) * WIDE - LEFT) / (WIDE - LEFT - RIGHT) * last;
    at = nearestTo(points, step);
    tell();
  });
  drawn.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -points.length, End: points.length }[event.key];
    if (!steps) return;
    event.preventDefault();
    at = Math.min(points.length - 1, Math.max(0, at + steps));
    tell();
  });
}

function nearestTo(points, step) {
  const after = points.findIndex((one) => one.step >= step);
  if (after <= 0) return after ? points.length - 1 : 0;
  return points[after].step - step < step - points[after - 1].step ? after : after - 1;
}
