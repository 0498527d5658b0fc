// The first page: all runs, chosen, sorted, drawn and compared.

import { listen } from "./api.js";
import { Choosing } from "./choosing.js";
import { byId, el, fill, options, seldom, soon, table } from "./dom.js";
import { Grid } from "./grid.js";
import { LineChart } from "./lines.js";
import { startLook, style } from "./look.js";
import { text } from "./numbers.js";
import { Parallel } from "./parallel.js";
import { Rows, title } from "./rows.js";
import { Scatter } from "./scatter.js";

const MOST_IN_TABLE = 200;
const FEW = 8; // so many curves are told apart by their looks without being picked
const rows = new Rows();
const picks = new Map();
let shown = [];
let columns = null;
let focusRun = null;

startLook(byId("look"));
const choosing = new Choosing(() => show(), () => parallel.clear());
const chart = new LineChart(byId("curves"), {
  label: "Curves of the runs",
  zoomed: (zoom) => { byId("unzoom").disabled = !zoom; finer(); },
  hovered: (curve) => { focusRun = curve?.id ?? null; },
});
const grid = new Grid(byId("runs"), {
  picked: pick,
  opened: (id) => location.assign(`/run/${id}`),
  sorted: (column) => {
    const { sort } = grid;
    grid.sort = { column, down: sort.column === column ? !sort.down : typeof rows.all()[0]?.[column] === "number" };
    show();
  },
});
const parallel = new Parallel(byId("parallel"), byId("ranges"), (ranges) => { choosing.ranges = ranges; show(); });
const scatter = new Scatter(byId("scatter"), pick);

function pick(id) {
  if (!picks.delete(id)) {
    const used = new Set([...picks.values()].map((one) => one.number));
    let at = 0;
    while (used.has(at + 1)) at += 1;
    picks.set(id, style(at));
  }
  show();
}

function defaultColumns() {
  const has = (name) => rows.about.metrics.includes(name);
  const figures = rows.about.metrics.filter((name) => name.startsWith("test.")).slice(0, 1);
  const rest = ["last.val_loss", "lowest.val_loss"].filter(has).slice(-1);
  const told = [...figures, ...rest].map((name) => `figure.${name}`);
  return ["shown", "status", "task", "model", ...told, "epochs", "seconds", "problems", "updated"];
}

function allColumns() {
  return ["shown", "status", "task", "model", "source", "epochs", "planned", "step", "seconds", "problems", "started",
    "updated", "tags", "note", ...rows.about.metrics.map((name) => `figure.${name}`),
    ...rows.about.plan_keys.map((key) => `plan.${key}`)];
}

function ticks(holder, names, chosen, changed) {
  const legend = holder.querySelector("legend");
  fill(holder, legend, ...names.map((name) => el("label", { class: "tick" },
    el("input", { type: "checkbox", checked: chosen.includes(name), onchange: (event) => changed(name, event.target.checked) }),
    ` ${title(name)}`)));
}

function offer() {
  const { about } = rows;
  columns ??= defaultColumns();
  const key = JSON.stringify([about.metrics, about.plan_keys, about.quantities]);
  choosing.offer(rows.all(), about.metrics);
  if (offer.key === key) return;
  offer.key = key;
  options(byId("quantity"), about.quantities.map((name) => [name, name.replaceAll("_", " ")]), byId("quantity").value || "val_loss");
  ticks(byId("columns"), allColumns(), columns, (name, on) => {
    columns = allColumns().filter((one) => (one === name ? on : columns.includes(one)));
    show();
  });
  const drawn = [...about.plan_keys.map((name) => `plan.${name}`), "epochs", "seconds", ...about.metrics.map((name) => `figure.${name}`)]
    .filter((name) => rows.all().some((row) => typeof row[name] === "number"));
  const varied = (name) => new Set(rows.all().map((row) => row[name])).size > 1;
  parallel.offer(drawn, columns, varied, (chosen, changed) => ticks(byId("axes"), drawn, chosen, changed));
  scatter.offer(drawn);
}

function show() {
  shown = choosing.chosen(rows.all(), grid.sort);
  grid.set(shown, columns, picks);
  const total = rows.about.total;
  byId("count").textContent = `${shown.length.toLocaleString("en")} of ${total.toLocaleString("en")} runs`;
  byId("compare").hidden = picks.size < 2;
  byId("compare").href = `/compare?runs=${[...picks.keys()].join(",")}`;
  byId("unpick").hidden = !picks.size;
  legend();
  draw();
  parallel.set(shown, picks);
  scatter.set(shown, picks);
}

// Picked runs have looks of their own; where none is, a few runs have them all the same.
function looks() {
  if (picks.size || shown.length > FEW) return picks;
  const few = new Set(shown.map((row) => row.id));
  return new Map(rows.all().filter((row) => few.has(row.id)).map((row, at) => [row.id, style(at)]));
}

function legend() {
  fill(byId("legend"), ...[...looks()].filter(([id]) => rows.byId.has(id)).map(([id, look]) => {
    const swatch = el("span", { class: "swatch", "aria-hidden": "true", text: look.number });
    swatch.style.borderColor = `var(${look.colour})`;
    return el("li", {}, swatch, el("a", { href: `/run/${id}`, text: rows.byId.get(id).shown }),
      picks.has(id) ? el("button", { type: "button", class: "small", "aria-label": `do not pick ${rows.byId.get(id).shown}`, text: "×", onclick: () => pick(id) }) : null);
  }));
}

async function draw() {
  const [quantity, axis] = [byId("quantity").value, byId("axis").value];
  if (!quantity) return;
  const held = await rows.curvesOf(quantity, axis);
  if (quantity !== byId("quantity").value || axis !== byId("axis").value) return;
  const whose = byId("whose").value === "picked" ? shown.filter((row) => picks.has(row.id)) : shown;
  const curves = [];
  const looked = looks();
  for (const row of whose) {
    const curve = finest(row.id, quantity, axis) ?? held.get(row.id);
    if (curve) curves.push({ id: row.id, name: row.shown, ...curve, style: looked.get(row.id) ?? null });
  }
  chart.log = byId("log").checked;
  chart.smooth = Number(byId("smooth").value);
  chart.titles = { x: axis, y: quantity.replaceAll("_", " ") };
  chart.canvas.setAttribute("aria-label", words(curves, quantity, axis));
  chart.set(curves);
  document.documentElement.dataset.drawn = String(curves.length);
  if (byId("curve-details").open) curveTable(curves);
}

function words(curves, quantity, axis) {
  const ends = curves.map(({ y }) => y[y.length - 1]).filter((value) => !Number.isNaN(value));
  const [low, high] = [ends.reduce((a, b) => Math.min(a, b), Infinity), ends.reduce((a, b) => Math.max(a, b), -Infinity)];
  return `${quantity.replaceAll("_", " ")} by ${axis} of ${curves.length} runs; their last values lie between ${text(low)} and ${text(high)}`;
}

function curveTable(curves) {
  const extreme = (y, pick) => y.reduce((a, b) => (Number.isNaN(b) ? a : pick(a, b)), y[0]);
  const told = curves.slice(0, MOST_IN_TABLE).map(({ name, y }) =>
    [name, text(y[0]), text(extreme(y, Math.min)), text(extreme(y, Math.max)), text(y[y.length - 1])]);
  const more = curves.length > MOST_IN_TABLE ? ` (the first ${MOST_IN_TABLE})` : "";
  fill(byId("curve-table"), table(`${chart.titles.y} by ${chart.titles.x}${more}`,
    ["run", "first", "lowest", "highest", "last"], told, [1, 2, 3, 4]));
}

// Picked runs are read finer where one has zoomed in.
const fine = new Map();
function finest(id, quantity, axis) {
  return chart.zoom ? fine.get(`${id} ${quantity} ${axis} ${chart.zoom}`) : null;
}

async function finer() {
  if (!chart.zoom) { fine.clear(); draw(); return; }
  const [quantity, axis, zoom] = [byId("quantity").value, byId("axis").value, String(chart.zoom)];
  const few = [...picks.keys()].slice(0, 16);
  if (!few.length && focusRun) few.push(focusRun);
  await Promise.all(few.map(async (id) => {
    const query = new URLSearchParams({ quantity, axis, low: chart.zoom?.[0] ?? 0, high: chart.zoom?.[1] ?? 1e30, points: 1500 });
    const answer = await fetch(`/api/runs/${id}/curve?${query}`);
    if (!answer.ok) return;
    const told = await answer.json();
    const y = Float32Array.from(told.y, (value) => (value === null ? NaN : value));
    fine.set(`${id} ${quantity} ${axis} ${zoom}`, { x: Float32Array.from(told.x), y });
  }));
  draw();
}

function summary(reading) {
  const training = rows.all().filter((row) => row.status === "training").length;
  const parts = [`${(rows.about.total ?? 0).toLocaleString("en")} runs`, `${training} training`];
  if (reading) parts.push(`reading ${reading[0].toLocaleString("en")} of ${reading[1].toLocaleString("en")} changed ones`);
  if (rows.about.links) parts.push(`${rows.about.links} links were not followed`);
  if (!rows.about.total && !reading) parts.push("train one with: glial train wine");
  byId("summary").textContent = parts.join(" · ");
}

async function update(reading = null) {
  const changed = await rows.update();
  offer();
  if (changed || !update.done) show();
  update.done = true;
  summary(reading ?? rows.about.reading);
}

for (const id of ["quantity", "axis"]) byId(id).addEventListener("change", () => { chart.setZoom(null); });
for (const id of ["whose", "log"]) byId(id).addEventListener("change", draw);
byId("smooth").addEventListener("input", soon(draw));
byId("unzoom").addEventListener("click", () => chart.setZoom(null));
byId("unpick").addEventListener("click", () => { picks.clear(); show(); });
byId("best").addEventListener("click", () => {
  picks.clear();
  shown.slice(0, 8).forEach((row, at) => picks.set(row.id, style(at)));
  show();
});
byId("curve-details").addEventListener("toggle", draw);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName)) {
    byId("search").focus();
    event.preventDefault();
  }
});

let news = null;
const refresh = seldom(() => update(news?.reading).catch((error) => { byId("summary").textContent = error.message; }));
update().then(() => {
  listen(() => rows.version, (told) => { news = told; refresh(); }, (state) => {
    if (state === "lost") byId("summary").textContent = "the server does not answer; asking again";
    else summary(rows.about.reading);
  });
}).catch((error) => { byId("summary").textContent = error.message; });
