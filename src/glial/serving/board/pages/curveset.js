// A few charts below each other, one for each quantity, with the same controls.

import { byId, el, fill, soon } from "./dom.js";
import { LineChart } from "./lines.js";
import { text } from "./numbers.js";

export class CurveSet {
  constructor(holder, changed) {
    this.holder = holder;
    this.charts = new Map();
    byId("axis").addEventListener("change", changed);
    byId("log").addEventListener("change", changed);
    byId("smooth").addEventListener("input", soon(changed));
  }

  // Curves of a chart: {id, name, x, y, style}.
  set(name, curves) {
    let chart = this.charts.get(name);
    if (!chart) {
      const place = el("div", { class: "chart" }, el("h3", { text: name.replaceAll("_", " ") }));
      this.holder.append(place);
      chart = new LineChart(place, { label: name, height: 240 });
      chart.legend = el("ul", { class: "legend", "aria-label": `lines of ${name.replaceAll("_", " ")}` });
      place.append(chart.legend);
      this.charts.set(name, chart);
    }
    chart.log = byId("log").checked;
    chart.smooth = Number(byId("smooth").value);
    chart.titles = { x: byId("axis").value, y: name.replaceAll("_", " ") };
    chart.canvas.setAttribute("aria-label", curves.map((curve) =>
      `${curve.name}: ${name.replaceAll("_", " ")} from ${text(curve.y[0])} to ${text(curve.y[curve.y.length - 1])}`).join("; "));
    fill(chart.legend, ...(curves.length > 1 ? curves.map(({ name: words, style }) => {
      const swatch = el("span", { class: "swatch", "aria-hidden": "true", text: style.number });
      swatch.style.borderColor = `var(${style.colour})`;
      return el("li", {}, swatch, words);
    }) : []));
    chart.set(curves);
  }
}
