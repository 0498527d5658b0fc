// Parallel coordinates: an axis for each setting or figure, a line for each run.

import { surface } from "./canvas.js";
import { el, fill } from "./dom.js";
import { colour } from "./look.js";
import { scale, text } from "./numbers.js";
import { title } from "./rows.js";

const MOST = 8;

// A name that fits: its end tells more than its beginning, which many settings share.
function fitted(context, name, room) {
  let [cut, told] = [name, name];
  while (cut.length > 3 && context.measureText(told).width > room) {
    cut = cut.slice(1);
    told = `…${cut}`;
  }
  return told;
}

export class Parallel {
  constructor(holder, ranges, brushed) {
    Object.assign(this, { holder, inputs: ranges, brushed });
    this.names = [];
    this.rows = [];
    this.picks = new Map();
    this.ranges = new Map();
    const { canvas, paint } = surface(holder, "Settings and figures of the runs", (...given) => this.draw(...given), 300);
    Object.assign(this, { canvas, paint });
    this.#listen();
  }

  offer(names, columns, varied, ticks) {
    this.all = names;
    if (!this.names.length) {
      const settings = names.filter((name) => name.startsWith("plan.") && varied(name)).slice(0, MOST - 3);
      const figures = names.filter((name) => !name.startsWith("plan.") && columns.includes(name) && varied(name));
      this.names = [...settings, ...figures.slice(0, 3)];
    }
    this.names = this.names.filter((name) => names.includes(name));
    ticks(this.names, (name, on) => {
      this.names = names.filter((one) => (one === name ? on : this.names.includes(one)));
      this.ranges.delete(on ? "" : name);
      this.#inputs();
      this.brushed(new Map(this.ranges));
    });
    this.#inputs();
  }

  clear() {
    this.ranges.clear();
    this.#inputs();
  }

  set(rows, picks) {
    Object.assign(this, { rows, picks });
    // Axes keep their limits while runs are filtered out by their brushes.
    if (!this.ranges.size || !this.limits) this.limits = null;
    this.canvas.setAttribute("aria-label", `${rows.length} runs by ${this.names.map(title).join(", ") || "no axis"}; `
      + `${this.ranges.size ? "kept are those in the ranges written below" : "no range is set"}`);
    this.paint();
  }

  #scales(high) {
    this.limits ??= new Map(this.names.map((name) => {
      const values = this.rows.map((row) => row[name]).filter((value) => typeof value === "number");
      const [low, top] = [values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), -Infinity)];
      return [name, low > 0 && top / low > 50 ? [low, top, true] : [low, top, false]];
    }));
    return this.names.map((name) => {
      const [low, top, log] = this.limits.get(name) ?? [0, 1, false];
      return low < top ? scale(low, top, high - 30, 40, log) : Object.assign(() => high / 2, { invert: () => low });
    });
  }

  draw(context, wide, high) {
    if (this.names.some((name) => !this.limits?.has(name))) this.limits = null;
    const scales = this.#scales(high);
    const count = this.names.length;
    this.places = this.names.map((_, at) => 40 + ((wide - 80) * at) / Math.max(1, count - 1));
    this.scales = scales;
    const line = (row, look, alpha) => {
      context.globalAlpha = alpha;
      context.strokeStyle = colour(look ? look.colour : "--c6");
      context.lineWidth = look ? 2.5 : 1;
      context.setLineDash(look?.dash ?? []);
      context.beginPath();
      this.names.forEach((name, at) => {
        const value = row[name];
        if (typeof value !== "number") return;
        if (at && typeof row[this.names[at - 1]] === "number") context.lineTo(this.places[at], scales[at](value));
        else context.moveTo(this.places[at], scales[at](value));
      });
      context.stroke();
    };
    const alpha = this.rows.length > 200 ? 0.25 : 0.6;
    for (const row of this.rows) if (!this.picks.has(row.id)) line(row, null, alpha);
    for (const row of this.rows) if (this.picks.has(row.id)) line(row, this.picks.get(row.id), 1);
    context.globalAlpha = 1;
    context.setLineDash([]);
    this.names.forEach((name, at) => this.#axis(context, name, this.places[at], scales[at], high, at));
  }

  #axis(context, name, place, at, high, order) {
    context.strokeStyle = colour("--ink");
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(place, 40);
    context.lineTo(place, high - 30);
    context.stroke();
    const range = this.ranges.get(name);
    if (range) {
      const [low, top] = range.map((value) => Math.max(38, Math.min(high - 28, at(value))));
      context.fillStyle = colour("--accent");
      context.globalAlpha = 0.35;
      context.fillRect(place - 7, Math.min(low, top), 14, Math.abs(top - low));
      context.globalAlpha = 1;
    }
    const [low, top] = this.limits.get(name) ?? [0, 1];
    context.fillStyle = colour("--ink");
    context.textAlign = order === 0 ? "left" : order === this.names.length - 1 ? "right" : "center";
    const anchor = order === 0 ? 4 : order === this.names.length - 1 ? place + 36 : place;
    context.textBaseline = "bottom";
    context.fillText(fitted(context, title(name), 1.8 * (this.places[1] - this.places[0])), anchor, order % 2 ? 34 : 18);
    context.fillStyle = colour("--muted");
    context.textAlign = "center";
    if (order % 2 === 0) context.fillText(text(top), place, 34);
    context.textBaseline = "top";
    const close = this.places[1] - this.places[0] < 60 && order % 2;
    context.fillText(text(low), place, close ? high - 12 : high - 24);
  }

  #inputs() {
    fill(this.inputs, ...this.names.flatMap((name) => ["at least", "at most"].map((words, end) => {
      const value = this.ranges.get(name)?.[end];
      return el("label", {}, `${title(name)} ${words} `, el("input", { type: "number", step: "any",
        "data-axis": name, value: Number.isFinite(value) ? Number(value.toPrecision(4)) : "",
        onchange: (event) => {
          const range = this.ranges.get(name) ?? [-Infinity, Infinity];
          range[end] = event.target.value === "" ? [-Infinity, Infinity][end] : Number(event.target.value);
          this.#brush(name, range);
        } }));
    })));
  }

  #brush(name, range) {
    if (range && (Number.isFinite(range[0]) || Number.isFinite(range[1]))) this.ranges.set(name, range);
    else this.ranges.delete(name);
    this.brushed(new Map(this.ranges));
  }

  #listen() {
    let begun = null;
    const place = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      const [left, top] = place(event);
      const at = (this.places ?? []).findIndex((one) => Math.abs(one - left) < 20);
      if (at < 0) return;
      begun = { at, top };
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointerup", (event) => {
      if (!begun) return;
      const [, top] = place(event);
      const name = this.names[begun.at];
      const ends = [begun.top, top].map((one) => this.scales[begun.at].invert(one)).sort((a, b) => a - b);
      this.#brush(name, Math.abs(top - begun.top) > 4 ? ends : null);
      begun = null;
      this.#inputs();
    });
  }
}
