// Gradient flow: layers from the input down, epochs to the right, colour by the gradient's size.

import { cells, colour, mixed, numbers, surface, ticks, short } from "./paint.js";

const LEFT = 62, RIGHT = 52, TOP = 6, BOTTOM = 29;
const LOW = -8, HIGH = 1;

export function drawFlow(canvas, frame) {
  const { brush, width, height } = surface(canvas);
  const { gradients, epoch } = frame.history;
  const names = frame.layers.map((layer) => layer.name);
  const [ground, strong] = [numbers("grid"), numbers("c4")];
  const [across, down] = [width - LEFT - RIGHT, height - TOP - BOTTOM];
  if (gradients.length) {
    const picture = cells(gradients.length, (cell) => {
      const layer = Math.floor(cell / gradients.length);
      const value = gradients[cell % gradients.length][layer];
      if (value === null || value === undefined) return numbers("bad");
      const share = value > 0 ? (Math.log10(value) - LOW) / (HIGH - LOW) : 0;
      return mixed(ground, strong, Math.max(0, Math.min(1, share)));
    }, names.length);
    brush.imageSmoothingEnabled = false;
    brush.drawImage(picture, LEFT, TOP, across, down);
  }
  brush.strokeStyle = colour("line");
  brush.strokeRect(LEFT, TOP, across, down);
  brush.fillStyle = colour("muted");
  brush.textAlign = "right";
  brush.textBaseline = "middle";
  const row = down / names.length;
  names.forEach((name, at) => brush.fillText(name, LEFT - 4, TOP + (at + 0.5) * row));
  brush.textAlign = "left";
  frame.layers.forEach((layer, at) => {
    brush.fillText(frame.step ? short(layer.gradient) : "–", width - RIGHT + 5, TOP + (at + 0.5) * row);
  });
  brush.textAlign = "center";
  brush.textBaseline = "alphabetic";
  const last = Math.max(1, epoch.at(-1) ?? 1);
  for (const tick of ticks(0, last, 4)) {
    brush.fillText(short(tick), LEFT + (tick / last) * across, height - 15);
  }
  brush.fillText("epoch", LEFT + across / 2, height - 4);
}
