// Each run as a point: any setting or figure against another.

import { axes, surface } from "./canvas.js";
import { byId, fill, options, table } from "./dom.js";
import { colour } from "./look.js";
import { scale, text, ticks } from "./numbers.js";
import { title } from "./rows.js";

const MOST_IN_TABLE = 200;

export class Scatter {
  constructor(holder, picked) {
    this.rows = [];
    this.picks = new Map();
    const { canvas, paint } = surface(holder, "Runs as points", (...given) => this.draw(...given), 300);
    Object.assign(this, { canvas, paint });
    for (const id of ["scatter-x", "scatter-y", "scatter-log-x", "scatter-log-y"]) {
      byId(id).addEventListener("change", () => this.set(this.rows, this.picks));
    }
    canvas.addEventListener("click", (event) => {
      const box = canvas.getBoundingClientRect();
      const far = ({ x, y }) => Math.hypot(x - (event.clientX - box.left), y - (event.clientY - box.top));
      const best = (this.points ?? []).reduce((a, b) => (a && far(a) <= far(b) ? a : b), null);
      if (best && far(best) < 16) picked(best.row.id);
    });
    byId("scatter-table").parentElement.addEventListener("toggle", () => this.#table());
  }

  offer(names) {
    const entries = names.map((name) => [name, title(name)]);
    const first = names.find((name) => name.startsWith("plan.train.lr")) ?? names[0];
    const score = names.find((name) => name.startsWith("figure.test.")) ?? names[names.length - 1];
    options(byId("scatter-x"), entries, byId("scatter-x").value || first);
    options(byId("scatter-y"), entries, byId("scatter-y").value || score);
  }

  set(rows, picks) {
    Object.assign(this, { rows, picks });
    const [x, y] = ["scatter-x", "scatter-y"].map((id) => byId(id).value);
    const logs = ["scatter-log-x", "scatter-log-y"].map((id) => byId(id).checked);
    const fits = (value, log) => typeof value === "number" && (!log || value > 0);
    this.drawn = rows.filter((row) => fits(row[x], logs[0]) && fits(row[y], logs[1]));
    Object.assign(this, { names: [x, y], logs });
    this.canvas.setAttribute("aria-label",
      `${title(y)} against ${title(x)} of ${this.drawn.length} runs; Spearman's rank correlation ${text(this.#correlation(), 2)}`);
    this.paint();
    this.#table();
  }

  #correlation() {
    const ranks = (name) => {
      const sorted = this.drawn.map((row) => row[name]).sort((a, b) => a - b);
      return this.drawn.map((row) => (sorted.indexOf(row[name]) + sorted.lastIndexOf(row[name])) / 2);
    };
    const [a, b] = this.names.map(ranks);
    const middle = (this.drawn.length - 1) / 2;
    let [ab, aa, bb] = [0, 0, 0];
    a.forEach((one, at) => {
      ab += (one - middle) * (b[at] - middle);
      aa += (one - middle) ** 2;
      bb += (b[at] - middle) ** 2;
    });
    return aa && bb ? ab / Math.sqrt(aa * bb) : NaN;
  }

  draw(context, wide, high) {
    this.points = [];
    if (!this.drawn?.length) return;
    const box = { left: 58, right: wide - 12, top: 24, bottom: high - 44 };
    const limits = this.names.map((name) => {
      const values = this.drawn.map((row) => row[name]);
      const [low, top] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
      return low < top ? [low, top] : [low - Math.abs(low || 1) / 2, low + Math.abs(low || 1) / 2];
    });
    const x = scale(...limits[0], box.left + 8, box.right - 8, this.logs[0]);
    const y = scale(...limits[1], box.bottom - 8, box.top + 8, this.logs[1]);
    const marked = (ends, log) => ticks(...ends, 6, log).map((value) => [value, text(value)]);
    axes(context, box, { at: x, ticks: marked(limits[0], this.logs[0]) }, { at: y, ticks: marked(limits[1], this.logs[1]) },
      { x: title(this.names[0]), y: title(this.names[1]) });
    for (const row of this.drawn) {
      const point = { row, x: x(row[this.names[0]]), y: y(row[this.names[1]]) };
      this.points.push(point);
      const look = this.picks.get(row.id);
      context.fillStyle = colour(look ? look.colour : "--c6");
      context.globalAlpha = look ? 1 : 0.6;
      context.beginPath();
      context.arc(point.x, point.y, look ? 7 : 4, 0, 7);
      context.fill();
      context.globalAlpha = 1;
      if (!look) continue;
      context.fillStyle = colour("--ground");
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillText(look.number, point.x, point.y);
    }
  }

  #table() {
    const holder = byId("scatter-table");
    if (!holder.parentElement.open) return;
    const told = this.drawn.slice(0, MOST_IN_TABLE).map((row) => [row.shown, ...this.names.map((name) => text(row[name]))]);
    fill(holder, table(`${title(this.names[1])} against ${title(this.names[0])}`, ["run", ...this.names.map(title)], told, [1, 2]));
  }
}
