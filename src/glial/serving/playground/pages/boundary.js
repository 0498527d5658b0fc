// The plane: what the network says of each place, and the points.

import { bytes, cells, colour, diverging, mixed, numbers, surface } from "./paint.js";

const CLASSES = ["against", "for", "c3"];

export function drawBoundary(canvas, frame, points) {
  const { brush, width } = surface(canvas);
  const { side, said, sure } = frame.boundary;
  const picture = frame.task === "classification"
    ? ofClasses(side, bytes(said), bytes(sure), frame.classes)
    : ofHeights(side, bytes(said));
  brush.imageSmoothingEnabled = true;
  brush.drawImage(picture, 0, 0, width, width);
  if (points) drawPoints(brush, width, points, frame.task);
}

function ofClasses(side, said, sure, classes) {
  const [ground, tones] = [numbers("ground"), CLASSES.map(numbers)];
  const least = 255 / classes;
  return cells(side, (cell) => {
    const share = Math.max(0, (sure[cell] - least) / (255 - least));
    return mixed(ground, tones[said[cell]], 0.12 + 0.55 * share);
  });
}

function ofHeights(side, said) {
  const tone = diverging();
  return cells(side, (cell) => tone(said[cell]));
}

function drawPoints(brush, width, points, task) {
  const place = (value) => ((value / points.extent + 1) / 2) * width;
  const [edge, ground] = [colour("ink"), colour("ground")];
  const tones = CLASSES.map(colour);
  points.x.forEach((x, at) => {
    const target = points.target[at];
    const kind = task === "classification" ? target : Number(target > 0);
    shape(brush, kind, place(x), width - place(points.y[at]), 3.4);
    brush.fillStyle = points.train[at] ? tones[kind] : ground;
    brush.strokeStyle = points.train[at] ? edge : tones[kind];
    brush.lineWidth = points.train[at] ? 0.7 : 1.6;
    brush.fill();
    brush.stroke();
  });
}

// Circles, squares and triangles: colour is not all that tells classes apart.
function shape(brush, kind, x, y, size) {
  brush.beginPath();
  if (kind === 0) brush.arc(x, y, size, 0, 2 * Math.PI);
  else if (kind === 1) brush.rect(x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8);
  else {
    brush.moveTo(x, y - size * 1.2);
    brush.lineTo(x + size * 1.2, y + size);
    brush.lineTo(x - size * 1.2, y + size);
    brush.closePath();
  }
}

export function keyOf(frame) {
  const shapes = ["round and blue", "square and orange", "three-cornered and green"];
  const kinds = frame.task === "classification"
    ? `Classes are ${shapes.slice(0, frame.classes).join(", ")}`
    : "Heights above 0 are square and orange, below round and blue";
  return `${kinds}. Filled points are learnt from, hollow ones only judge.`;
}
