// Layers over steps as a heat map: the first layer at the top, dark where a number is high.

import { surface } from "./canvas.js";
import { byId, fill, options, table } from "./dom.js";
import { colour } from "./look.js";
import { text } from "./numbers.js";

const LOW = 22;
// What each number is, how it is drawn, and how a picture of it is read.
const TOLD = {
  gradient_rms: ["size of gradients", true, "Even rows are well. Rows that fade towards the top mean that early layers hardly learn; a row that lights up means that gradients explode."],
  gradient_norm: ["size of gradients", true, "Even rows are well. Rows that fade towards the top mean that early layers hardly learn; a row that lights up means that gradients explode."],
  update_share: ["step as a share of the weights", true, "About a thousandth is usual. Much more means that the learning rate is high, much less that the layer stands still."],
  update_norm: ["size of steps", true, "A row that is much darker or lighter than the others learns at another pace than they do."],
  weight_rms: ["size of weights", true, "Weights that only grow may need weight decay."],
  weight_norm: ["size of weights", true, "Weights that only grow may need weight decay."],
  activation_mean: ["mean of outputs", false, "Values far from zero in every row mean that inputs or weights are not centred."],
  activation_std: ["spread of outputs", true, "Rows that fade downwards mean that the signal dies on its way; growing rows that it explodes."],
  dead_share: ["share of dead units", false, "A unit is dead where it gives the same for every row. High rows are lost capacity: lower the rate, or take another activation."],
  saturated_share: ["share of saturated units", false, "Saturated units hardly pass gradients on: start with smaller weights, or normalise."],
};

export class HeatMap {
  constructor(holder) {
    this.layers = [];
    const { canvas, paint } = surface(holder, "Layers over steps", (...given) => this.draw(...given), 120);
    Object.assign(this, { canvas, paint });
    byId("health").addEventListener("change", () => this.set(this.layers));
  }

  set(layers) {
    this.layers = layers;
    const told = new Set(layers.flatMap((layer) => Object.keys(layer.quantities)));
    const names = [...new Set([...Object.keys(TOLD).filter((name) => told.has(name)), ...told])];
    options(byId("health"), names.map((name) => [name, TOLD[name]?.[0] ?? name.replaceAll("_", " ")]), byId("health").value || names[0]);
    this.name = byId("health").value;
    this.rows = layers.filter((layer) => layer.quantities[this.name])
      .map((layer) => ({ name: layer.name, kind: layer.kind, ...layer.quantities[this.name] }));
    this.canvas.style.height = `${this.rows.length ? this.rows.length * LOW + 60 : 40}px`;
    byId("health-words").textContent = this.rows.length ? TOLD[this.name]?.[2] ?? "" : "nothing was followed in its layers";
    const last = (row) => row.values[row.values.length - 1];
    this.canvas.setAttribute("aria-label", `${TOLD[this.name]?.[0] ?? this.name} of ${this.rows.length} layers over steps; at the end `
      + this.rows.slice(0, 12).map((row) => `${row.name} ${text(last(row))}`).join(", "));
    fill(byId("layer-table"), table(TOLD[this.name]?.[0] ?? "layers", ["layer", "kind", "first", "lowest", "highest", "last"],
      this.rows.map((row) => {
        const known = row.values.filter((value) => value !== null);
        return [row.name, row.kind, text(row.values[0]), text(Math.min(...known)), text(Math.max(...known)), text(last(row))];
      }), [2, 3, 4, 5]));
    this.paint();
  }

  draw(context, wide, high) {
    const { rows } = this;
    if (!rows?.length) return;
    const log = TOLD[this.name]?.[1] ?? false;
    const change = (value) => (value === null || (log && value <= 0) ? null : log ? Math.log10(value) : value);
    const all = rows.flatMap((row) => row.values.map(change)).filter((value) => value !== null);
    const [low, top] = [all.reduce((a, b) => Math.min(a, b), Infinity), all.reduce((a, b) => Math.max(a, b), -Infinity)];
    const left = Math.min(wide * 0.35, 190);
    const right = wide - 10;
    const steps = rows.flatMap((row) => row.steps);
    const [first, end] = [steps.reduce((a, b) => Math.min(a, b), Infinity), steps.reduce((a, b) => Math.max(a, b), -Infinity)];
    const at = (step) => left + ((step - first) / Math.max(1, end - first)) * (right - left);
    rows.forEach((row, order) => {
      const up = order * LOW + 4;
      context.fillStyle = colour("--ink");
      context.textAlign = "right";
      context.textBaseline = "middle";
      context.fillText(shorten(context, row.name, left - 14), left - 8, up + LOW / 2);
      row.steps.forEach((step, place) => {
        const value = change(row.values[place]);
        const from = at(step);
        const to = place + 1 < row.steps.length ? at(row.steps[place + 1]) : right;
        context.fillStyle = colour(value === null ? "--grid" : "--accent");
        context.globalAlpha = value === null ? 1 : 0.06 + 0.94 * ((value - low) / (top - low || 1));
        context.fillRect(Math.floor(from), up, Math.max(1, Math.floor(to) - Math.floor(from)), LOW - 2);
        context.globalAlpha = 1;
      });
    });
    const under = rows.length * LOW + 10;
    context.fillStyle = colour("--muted");
    context.textBaseline = "top";
    context.textAlign = "left";
    context.fillText(`step ${text(first)}`, left, under);
    context.textAlign = "right";
    context.fillText(`step ${text(end)}`, right, under);
    for (let part = 0; part <= 1; part += 0.25) {
      context.globalAlpha = 0.06 + 0.94 * part;
      context.fillStyle = colour("--accent");
      context.fillRect(left + 60 + part * 80, under + 20, 20, 12);
    }
    context.globalAlpha = 1;
    context.fillStyle = colour("--muted");
    context.textAlign = "right";
    context.fillText(text(log ? 10 ** low : low, 2), left + 54, under + 20);
    context.textAlign = "left";
    context.fillText(text(log ? 10 ** top : top, 2), left + 168, under + 20);
  }
}

function shorten(context, words, most) {
  if (context.measureText(words).width <= most) return words;
  let kept = words;
  while (kept.length > 4 && context.measureText(`…${kept}`).width > most) kept = kept.slice(1);
  return `…${kept}`;
}
