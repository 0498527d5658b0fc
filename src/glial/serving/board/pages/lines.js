// Curves on one canvas: by epoch, step or seconds; hover, zoom and keyboard.

import { axes, surface } from "./canvas.js";
import { el } from "./dom.js";
import { colour } from "./look.js";
import { scale, smoothed, text, ticks } from "./numbers.js";

const FEW = 60; // so many curves are drawn strongly

export class LineChart {
  constructor(holder, { label, height = 320, zoomed = () => {}, hovered = () => {} }) {
    this.curves = [];
    this.log = false;
    this.smooth = 0;
    this.titles = { x: "epoch", y: "" };
    this.zoom = null;
    this.cursor = null;
    this.zoomed = zoomed;
    this.hovered = hovered;
    const { canvas, paint } = surface(holder, label, (...given) => this.draw(...given), height);
    this.canvas = canvas;
    this.paint = paint;
    this.words = el("p", { class: "reading", "aria-live": "polite" });
    this.words.textContent = "Point at a curve, or use the arrow keys; drag or press + to zoom.";
    holder.append(this.words);
    this.#listen();
  }

  // Curves: {id, name, x, y, style: {colour, dash} or null}; one without a style stands behind.
  set(curves) {
    this.curves = curves.map((curve) => ({ ...curve, drawn: smoothed(curve.y, this.smooth) }));
    this.paint();
  }

  change(values) {
    Object.assign(this, values);
    this.set(this.curves);
  }

  setZoom(zoom) {
    this.zoom = zoom;
    this.zoomed(zoom);
    this.paint();
  }

  limits() {
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const { x, drawn } of this.curves) {
      for (let at = 0; at < x.length; at += 1) {
        const value = drawn[at];
        if (Number.isNaN(value) || (this.log && value <= 0)) continue;
        if (this.zoom && (x[at] < this.zoom[0] || x[at] > this.zoom[1])) continue;
        if (x[at] < left) left = x[at];
        if (x[at] > right) right = x[at];
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    if (left === Infinity) return null;
    if (this.zoom) [left, right] = this.zoom;
    if (left === right) { left -= 0.5; right += 0.5; }
    if (low === high) { low = this.log ? low / 2 : low - 0.5; high = this.log ? high * 2 : high + 0.5; }
    return { left, right, low, high };
  }

  draw(context, wide, high) {
    const box = { left: 58, right: wide - 12, top: 24, bottom: high - 44 };
    const limits = this.limits();
    if (!limits) {
      context.fillStyle = colour("--muted");
      context.fillText("nothing to draw", box.left, box.top + 20);
      this.x = null;
      return;
    }
    this.x = scale(limits.left, limits.right, box.left, box.right);
    this.y = scale(limits.low, limits.high, box.bottom - 4, box.top + 4, this.log);
    const marked = (some) => some.map((value) => [value, text(value)]);
    axes(context, box,
      { at: this.x, ticks: marked(ticks(limits.left, limits.right, wide < 500 ? 4 : 8)) },
      { at: this.y, ticks: marked(ticks(limits.low, limits.high, 6, this.log)) }, this.titles);
    context.save();
    context.beginPath();
    context.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
    context.clip();
    const many = this.curves.length > FEW;
    for (const curve of this.curves) if (!curve.style) this.#line(context, curve, many ? 0.3 : 0.65);
    for (const curve of this.curves) if (curve.style) this.#line(context, curve, 1);
    if (this.cursor) this.#mark(context, box);
    context.restore();
  }

  #line(context, { x, drawn, style }, alpha) {
    context.globalAlpha = alpha;
    context.strokeStyle = colour(style ? style.colour : "--c6");
    context.lineWidth = style ? 2 : 1;
    context.setLineDash(style?.dash ?? []);
    context.beginPath();
    let begun = false;
    for (let at = 0; at < x.length; at += 1) {
      const value = drawn[at];
      if (Number.isNaN(value) || (this.log && value <= 0)) { begun = false; continue; }
      if (begun) context.lineTo(this.x(x[at]), this.y(value));
      else context.moveTo(this.x(x[at]), this.y(value));
      begun = true;
    }
    context.stroke();
    if (x.length === 1) context.strokeRect(this.x(x[0]) - 2, this.y(drawn[0]) - 2, 4, 4);
    context.globalAlpha = 1;
    context.setLineDash([]);
  }

  #mark(context, box) {
    const { curve, at } = this.cursor;
    this.#line(context, { ...curve, style: curve.style ?? { colour: "--accent", dash: [] } }, 1);
    const [x, y] = [this.x(curve.x[at]), this.y(curve.drawn[at])];
    context.strokeStyle = colour("--muted");
    context.setLineDash([3, 3]);
    context.beginPath();
    context.moveTo(x, box.top);
    context.lineTo(x, box.bottom);
    context.stroke();
    context.setLineDash([]);
    context.fillStyle = colour("--ink");
    context.beginPath();
    context.arc(x, y, 4, 0, 7);
    context.fill();
    if (this.drag) {
      context.fillStyle = colour("--accent");
      context.globalAlpha = 0.15;
      const [from, to] = this.drag;
      context.fillRect(Math.min(from, to), box.top, Math.abs(to - from), box.bottom - box.top);
      context.globalAlpha = 1;
    }
  }

  nearest(left, top) {
    let best = null;
    let least = Infinity;
    for (const curve of this.curves) {
      for (let at = 0; at < curve.x.length; at += 1) {
        const value = curve.drawn[at];
        if (Number.isNaN(value)) continue;
        const across = this.x(curve.x[at]) - left;
        if (Math.abs(across) > 60) continue;
        const far = across * across + (this.y(value) - top) ** 2;
        if (far < least) { least = far; best = { curve, at }; }
      }
    }
    return best;
  }

  #tell(cursor) {
    this.cursor = cursor;
    this.hovered(cursor?.curve ?? null);
    if (cursor) {
      const { curve, at } = cursor;
      this.words.textContent =
        `${curve.name}: ${this.titles.y} ${text(curve.drawn[at])} at ${this.titles.x} ${text(curve.x[at])}`;
    }
    this.paint();
  }

  #listen() {
    const place = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      if (!this.x) return;
      const [left] = place(event);
      this.drag = [left, left];
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!this.x) return;
      const [left, top] = place(event);
      if (this.drag) this.drag[1] = left;
      this.#tell(this.nearest(left, top));
    });
    this.canvas.addEventListener("pointerup", () => {
      const [from, to] = this.drag ?? [0, 0];
      this.drag = null;
      if (Math.abs(to - from) > 8) {
        this.setZoom([from, to].sort((a, b) => a - b).map((at) => this.x.invert(at)));
      }
    });
    this.canvas.addEventListener("dblclick", () => this.setZoom(null));
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    if (!this.x || !this.curves.length) return;
    const { curve, at } = this.cursor ?? { curve: this.curves[0], at: 0 };
    const order = this.curves.indexOf(curve);
    const moved = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (moved) {
      const next = this.curves[(order + moved[0] + this.curves.length) % this.curves.length] ?? this.curves[0];
      const stride = event.shiftKey ? 10 : 1;
      this.#tell({ curve: next, at: Math.max(0, Math.min(next.x.length - 1, at + moved[1] * stride)) });
    } else if (event.key === "+" || event.key === "-") {
      const { left, right } = this.limits();
      const middle = this.cursor ? curve.x[at] : (left + right) / 2;
      const half = ((right - left) / 2) * (event.key === "+" ? 0.5 : 2);
      this.setZoom([middle - half, middle + half]);
    } else if (event.key === "Escape" || event.key === "0") {
      this.setZoom(null);
    } else {
      return;
    }
    event.preventDefault();
  }
}
