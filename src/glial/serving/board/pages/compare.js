// A few runs side by side: curves, figures, and what differs in their plans.

import { getJson } from "./api.js";
import { CurveSet } from "./curveset.js";
import { byId, el, fill, table } from "./dom.js";
import { startLook, style } from "./look.js";
import { text } from "./numbers.js";

const MOST = 16;
const ids = (new URLSearchParams(location.search).get("runs") ?? "").split(",").filter(Boolean).slice(0, MOST);
let runs = [];

startLook(byId("look"));
const curves = new CurveSet(byId("curves"), () => drawCurves());

async function drawCurves() {
  const axis = byId("axis").value;
  const names = [...new Set(runs.flatMap((run) => run.quantities))].slice(0, 8);
  for (const name of names) {
    const held = await Promise.all(runs.map(async (run, at) => {
      if (!run.quantities.includes(name)) return null;
      const query = new URLSearchParams({ quantity: name, axis, points: 600 });
      const { x, y } = await getJson(`/api/runs/${run.id}/curve?${query}`);
      return { id: run.id, name: run.mark.label || run.name, x, y: Float32Array.from(y, (value) => value ?? NaN), style: style(at) };
    }));
    curves.set(name, held.filter(Boolean));
  }
  document.documentElement.dataset.drawn = String(names.length);
}

const heads = () => runs.map((run, at) => `${at + 1} ${run.mark.label || run.name}`);

function figures() {
  const part = (run, split) => run.metrics.metrics?.[split] ?? {};
  const rows = ["test", "val", "baseline"].flatMap((split) => {
    const names = [...new Set(runs.flatMap((run) => Object.keys(part(run, split))))];
    return names.map((name) => [`${split} ${name.replaceAll("_", " ")}`, ...runs.map((run) => text(part(run, split)[name]))]);
  });
  fill(byId("metrics"), table("Figures", ["figure", ...heads()], rows, runs.map((_, at) => at + 1)));
}

function plans() {
  const keys = [...new Set(runs.flatMap((run) => Object.keys(run.plan)))];
  const write = (value) => (value === undefined ? "–" : typeof value === "object" && value !== null ? JSON.stringify(value) : text(value));
  const rows = keys.map((key) => [key, ...runs.map((run) => write(run.plan[key]))])
    .filter(([, ...values]) => byId("same").checked || values.some((value) => value !== values[0]));
  fill(byId("plan"), rows.length ? table("Keys of the plans", ["key", ...heads()], rows) : el("p", { text: "nothing differs" }));
}

async function start() {
  if (!ids.length) throw new Error("no runs were picked: go back and pick some");
  runs = await Promise.all(ids.map((id) => getJson(`/api/runs/${encodeURIComponent(id)}`)));
  byId("status").textContent = `${runs.length} runs`;
  fill(byId("legend"), ...runs.map((run, at) => {
    const look = style(at);
    const swatch = el("span", { class: "swatch", "aria-hidden": "true", text: look.number });
    swatch.style.borderColor = `var(${look.colour})`;
    return el("li", {}, swatch, el("a", { href: `/run/${run.id}`, text: run.mark.label || run.name }));
  }));
  figures();
  plans();
  await drawCurves();
}

byId("same").addEventListener("change", plans);
start().catch((error) => { byId("status").textContent = error.message; });
