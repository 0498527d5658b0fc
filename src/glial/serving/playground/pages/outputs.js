// How the outputs of each layer are spread: a histogram a layer.

import { colour, short, surface } from "./paint.js";

const LEFT = 62, RIGHT = 8;

export function drawOutputs(canvas, frame) {
  const { brush, width, height } = surface(canvas);
  const row = height / frame.layers.length;
  brush.textBaseline = "middle";
  frame.layers.forEach((layer, number) => {
    const { low, high, counts } = layer.outputs;
    const bottom = (number + 1) * row - Math.min(14, row * 0.4);
    const most = Math.max(1, ...counts);
    const across = (width - LEFT - RIGHT) / Math.max(1, counts.length);
    brush.fillStyle = colour("c3");
    counts.forEach((count, at) => {
      const up = (count / most) * (bottom - number * row - 4);
      brush.fillRect(LEFT + at * across + 0.5, bottom - up, Math.max(1, across - 1), up);
    });
    brush.strokeStyle = colour("line");
    brush.beginPath();
    brush.moveTo(LEFT, bottom + 0.5);
    brush.lineTo(width - RIGHT, bottom + 0.5);
    brush.stroke();
    brush.fillStyle = colour("muted");
    brush.textAlign = "right";
    brush.fillText(layer.name, LEFT - 6, (number * row + bottom) / 2 + 2);
    if (row < 24) return;
    brush.textAlign = "left";
    brush.fillText(short(low), LEFT, bottom + 8);
    brush.textAlign = "right";
    brush.fillText(short(high), width - RIGHT, bottom + 8);
  });
}
