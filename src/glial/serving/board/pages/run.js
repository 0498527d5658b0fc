// The page of one run: where it is, what is found, curves, layers, samples, costs, plan, files.

import { getJson, listen, putJson } from "./api.js";
import { CurveSet } from "./curveset.js";
import { byId, el, fill, seldom, table } from "./dom.js";
import { badge } from "./grid.js";
import { HeatMap } from "./heat.js";
import { startLook, style } from "./look.js";
import { LineChart } from "./lines.js";
import { bytes, seconds, text } from "./numbers.js";

const id = location.pathname.split("/").pop();
let told = null;
let news = { version: 0 };

startLook(byId("look"));
const curves = new CurveSet(byId("curves"), () => drawCurves());
const heat = new HeatMap(byId("layers"));

async function update() {
  told = await getJson(`/api/runs/${id}`);
  const name = told.mark.label || told.name;
  byId("name").textContent = name;
  document.title = `${name} · Glial board`;
  fill(byId("status"), badge(told.status, told.live.fraction));
  now();
  findings();
  drawCurves();
  heat.set(told.layers);
  samples();
  hardware();
  metrics();
  plan();
  fill(byId("files"), table("In its folder", ["file", "size"], told.files.map((file) =>
    [file.name, file.kind === "file" ? bytes(file.bytes) : file.kind]), [1]));
  byId("report").hidden = !told.report;
  byId("report").href = `/runs/${id}/report`;
  byId("mark").hidden = !told.changes;
  document.documentElement.dataset.drawn = String(told.version);
}

function now() {
  const { live, metrics: figures } = told;
  const bar = byId("progress");
  bar.hidden = told.status !== "training" || live.fraction === null;
  if (!bar.hidden) bar.value = live.fraction;
  const epoch = live.epoch ?? figures.epochs;
  const rows = [
    ["epoch", `${text(epoch)} of at most ${text(live.epochs ?? told.plan["train.epochs"])}`],
    ["step", text(live.step)],
    ["best epoch", text(live.best_epoch)],
    ["training time", seconds(figures.seconds ?? live.seconds)],
    ["ended by", figures.ended_by ?? null],
    ["task", told.plan["task.name"]],
    ["model", told.plan["model.name"]],
    ["data", told.plan["data.source"]],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "–");
  fill(byId("now"), table("", ["", ""], rows));
  byId("now").querySelector("thead").remove();
  byId("now").querySelector("caption").remove();
  byId("damage").textContent = Object.values(told.damage).join(". ");
}

function findings() {
  const made = told.findings.map((one) => el("div", { class: `finding ${["error", "warning"].includes(one.severity) ? one.severity : "note"}` },
    el("h3", {}, badge(one.severity ?? "note"), ` ${one.problem ?? ""}${one.where ? ` in ${one.where}` : ""}`),
    el("p", { text: one.means ?? "" }),
    el("p", {}, el("strong", { text: "Do: " }), one.do ?? ""),
    el("p", { class: "hint", text: [
      one.since_step ? `since step ${one.since_step}` : "",
      ...Object.entries(one.evidence ?? {}).map(([name, value]) => `${name.replaceAll("_", " ")} ${text(value)}`),
    ].filter(Boolean).join(" · ") })));
  fill(byId("findings"), ...made, made.length ? null : el("p", { text: told.status === "training" ? "nothing so far" : "nothing" }));
}

async function drawCurves() {
  if (!told) return;
  const axis = byId("axis").value;
  const losses = told.quantities.filter((name) => name.endsWith("loss"));
  const groups = losses.length ? [["loss", losses]] : [];
  for (const name of told.quantities) if (!losses.includes(name)) groups.push([name, [name]]);
  const read = async (name) => {
    const query = new URLSearchParams({ quantity: name, axis, points: 800 });
    return [name, await getJson(`/api/runs/${id}/curve?${query}`)];
  };
  const held = new Map(await Promise.all(groups.slice(0, 12).flatMap(([, names]) => names.map(read))));
  for (const [title, names] of groups.slice(0, 12)) {
    curves.set(title, names.map((name, at) => ({
      id: name, name: name.replaceAll("_", " "), x: held.get(name).x,
      y: Float32Array.from(held.get(name).y, (value) => (value === null ? NaN : value)), style: style(at),
    })));
  }
}

function samples() {
  const made = told.samples.map((one) => el("li", {},
    one.image ? el("img", { src: one.image, alt: one.truth ? `a picture of ${one.truth}` : "a picture that it was given" }) : null,
    one.input ? el("p", { text: one.input }) : null,
    one.truth ? el("p", { text: `truth: ${one.truth}` }) : null,
    el("p", { text: `it says: ${one.prediction ?? "–"}` }),
    one.right === null ? null : el("p", {}, el("span", { class: `badge ${one.right ? "finished" : "error"}`, text: one.right ? "right" : "wrong" }))));
  fill(byId("samples"), ...(made.length ? made : [el("li", { text: "nothing was asked of it while it trained" })]));
}

let loads = null;
function hardware() {
  const { hardware: found } = told;
  const rows = [
    ["processor", found.cpu_percent === undefined ? null : `${text(found.cpu_percent, 3)} % of one core`],
    ["memory", found.memory_bytes === undefined ? null : bytes(found.memory_bytes)],
    ["most memory", found.peak_memory_bytes === undefined ? null : bytes(found.peak_memory_bytes)],
    ["threads", found.threads === undefined ? null : text(found.threads)],
    ["accelerator", found.gpu_percent === null || found.gpu_percent === undefined ? null : `${text(found.gpu_percent)} %`],
    ["its memory", found.gpu_memory_bytes ? bytes(found.gpu_memory_bytes) : null],
    ["rows learnt from in a second", told.metrics.samples_per_second ? text(told.metrics.samples_per_second) : null],
    ["with", [told.environment.platform, told.environment.torch && `torch ${told.environment.torch}`].filter(Boolean).join(", ")],
  ].filter(([, value]) => value);
  fill(byId("hardware"), table("", ["", ""], rows));
  byId("hardware").querySelector("thead").remove();
  byId("hardware").querySelector("caption").remove();
  const series = found.series;
  if (!Array.isArray(series?.seconds) || series.seconds.length < 2) return;
  loads ??= ["cpu_percent", "memory_bytes"].map((name) => {
    const words = { cpu_percent: "processor, % of one core", memory_bytes: "memory, MiB" }[name];
    const place = el("div", { class: "chart" }, el("h3", { text: words }));
    byId("load").append(place);
    return [name, words, new LineChart(place, { label: words, height: 180 })];
  });
  for (const [name, words, chart] of loads) {
    const unit = name === "memory_bytes" ? 2 ** 20 : 1;
    const y = Float32Array.from(series[name] ?? [], (value) => (value ?? NaN) / unit);
    chart.titles = { x: "seconds", y: words };
    chart.canvas.setAttribute("aria-label", `${words} over seconds; now ${text(y[y.length - 1])}`);
    chart.set([{ id: name, name: words, x: Float32Array.from(series.seconds), y, style: style(0) }]);
  }
}

function metrics() {
  const parts = told.metrics.metrics ?? {};
  const splits = Object.keys(parts);
  const names = [...new Set(splits.flatMap((split) => Object.keys(parts[split] ?? {})))];
  const rows = names.map((name) => [name.replaceAll("_", " "), ...splits.map((split) => text(parts[split]?.[name]))]);
  fill(byId("metrics"), names.length
    ? table("Baseline is the trivial answer, measured on the test rows", ["figure", ...splits], rows, splits.map((_, at) => at + 1))
    : el("p", { text: "it is measured when it has ended" }));
}

function plan() {
  const word = byId("plan-search").value.toLowerCase();
  const rows = Object.entries(told.plan).filter(([key]) => key.toLowerCase().includes(word));
  fill(byId("plan"), table(`${rows.length} keys`, ["key", "value"], rows.map(([key, value]) =>
    [key, typeof value === "object" && value !== null ? JSON.stringify(value) : text(value)])));
}

byId("plan-search").addEventListener("input", plan);
byId("mark-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const tags = byId("tags").value.split(",").map((tag) => tag.trim()).filter(Boolean);
  try {
    await putJson(`/api/marks/${id}`, { label: byId("label").value, tags, note: byId("note").value, star: byId("star").checked });
    byId("kept").textContent = "kept";
    await update();
  } catch (error) {
    byId("kept").textContent = error.message;
  }
});

const failed = (error) => { byId("status").textContent = error.message; };
const refresh = seldom(() => update().catch(failed));
update().then(() => {
  byId("label").value = told.mark.label ?? "";
  byId("tags").value = (told.mark.tags ?? []).join(", ");
  byId("note").value = told.mark.note ?? "";
  byId("star").checked = told.mark.star ?? false;
  news = { version: told.version };
  listen(() => news.version, (heard) => {
    const changed = heard.version !== news.version;
    news = heard;
    if (changed) refresh();
  }, (state) => { if (state === "lost") byId("status").textContent = "the server does not answer; asking again"; });
}).catch(failed);
