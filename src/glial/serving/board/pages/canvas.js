// A canvas that fits its place and the screen's pixels, and is drawn anew when these change.

import { el, soon } from "./dom.js";
import { colour, onLook } from "./look.js";

export function surface(holder, label, draw, height = 320) {
  const canvas = el("canvas", { role: "img", "aria-label": label, tabindex: "0" });
  canvas.style.height = `${height}px`;
  holder.append(canvas);
  const context = canvas.getContext("2d");
  const paint = soon(() => {
    const wide = canvas.clientWidth;
    const high = canvas.clientHeight;
    if (!wide || !high) return;
    const pixels = devicePixelRatio || 1;
    if (canvas.width !== Math.round(wide * pixels) || canvas.height !== Math.round(high * pixels)) {
      canvas.width = Math.round(wide * pixels);
      canvas.height = Math.round(high * pixels);
    }
    context.setTransform(pixels, 0, 0, pixels, 0, 0);
    context.clearRect(0, 0, wide, high);
    context.font = '12px system-ui, "Noto Sans", "DejaVu Sans", sans-serif';
    draw(context, wide, high);
  });
  new ResizeObserver(paint).observe(canvas);
  onLook(paint);
  return { canvas, paint };
}

export function axes(context, box, x, y, titles) {
  context.lineWidth = 1;
  context.fillStyle = colour("--muted");
  context.strokeStyle = colour("--grid");
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const [value, words] of y.ticks) {
    const at = Math.round(y.at(value)) + 0.5;
    context.beginPath();
    context.moveTo(box.left, at);
    context.lineTo(box.right, at);
    context.stroke();
    context.fillText(words, box.left - 6, at);
  }
  context.textBaseline = "top";
  context.textAlign = "center";
  for (const [value, words] of x.ticks) {
    const at = Math.round(x.at(value)) + 0.5;
    context.beginPath();
    context.moveTo(at, box.bottom);
    context.lineTo(at, box.bottom + 4);
    context.stroke();
    context.fillText(words, Math.min(at, box.right - 8), box.bottom + 6);
  }
  context.strokeStyle = colour("--line");
  context.strokeRect(box.left + 0.5, box.top + 0.5, box.right - box.left, box.bottom - box.top);
  context.fillStyle = colour("--muted");
  context.textAlign = "right";
  context.fillText(titles.x, box.right, box.bottom + 22);
  context.textAlign = "left";
  context.textBaseline = "bottom";
  context.fillText(titles.y, 4, box.top - 4);
}
