// The network: a small map for each unit, and a line for each weight.

import { bytes, cells, colour, diverging, surface } from "./paint.js";

const MAP = 25;

export function drawNetwork(canvas, frame, features) {
  const { brush, width, height } = surface(canvas);
  const columns = [features.length, ...frame.layers.map((layer) => layer.units.length)];
  const most = Math.max(...columns);
  const gap = (width - 90) / Math.max(1, columns.length - 1);
  const size = Math.max(7, Math.min(46, (height - 24) / most - 4, gap * 0.6));
  const places = columns.map((count, column) => spread(count, height - 20, size).map((y) => ({
    x: 60 + column * gap * ((width - 90 - size) / (width - 90)), y: y + 20 })));
  places[0].inputs = true;
  frame.layers.forEach((layer, number) => {
    drawWeights(brush, layer.weights, places[number], places[number + 1], size);
  });
  const tone = diverging();
  brush.fillStyle = colour("ink");
  brush.textAlign = "right";
  brush.textBaseline = "middle";
  places[0].forEach(({ x, y }, at) => brush.fillText(named(features[at]), x - 4, y));
  brush.textAlign = "center";
  frame.layers.forEach((layer, number) => {
    layer.units.forEach((unit, at) => {
      const { x, y } = places[number + 1][at];
      const values = bytes(unit);
      brush.imageSmoothingEnabled = size > 30;
      brush.drawImage(cells(MAP, (cell) => tone(values[cell])), x, y - size / 2, size, size);
      brush.strokeStyle = colour("muted");
      brush.lineWidth = 1;
      brush.strokeRect(x, y - size / 2, size, size);
    });
    brush.fillStyle = colour("muted");
    const { x } = places[number + 1][0];
    brush.fillText(gap > 62 || number === frame.layers.length - 1 ? layer.name : number + 1, x + size / 2, 8);
  });
}

function spread(count, height, size) {
  const step = Math.min(height / count, size + 18);
  return Array.from({ length: count }, (_, at) => height / 2 + (at - (count - 1) / 2) * step);
}

function drawWeights(brush, weights, from, to, size) {
  const largest = Math.max(1e-9, ...weights.flat().map((value) => Math.abs(value ?? 0)));
  weights.forEach((row, unit) => row.forEach((value, input) => {
    const share = Math.abs(value ?? 0) / largest;
    if (share < 0.02) return;
    const start = from[input].x + (from.inputs ? 0 : size);
    brush.beginPath();
    brush.moveTo(start, from[input].y);
    const middle = (start + to[unit].x) / 2;
    brush.bezierCurveTo(middle, from[input].y, middle, to[unit].y, to[unit].x, to[unit].y);
    brush.strokeStyle = colour(value < 0 ? "against" : "for");
    brush.setLineDash(value < 0 ? [4, 3] : []);
    brush.globalAlpha = 0.25 + 0.75 * share;
    brush.lineWidth = 0.5 + 3.5 * share;
    brush.stroke();
  }));
  brush.setLineDash([]);
  brush.globalAlpha = 1;
}

export function named(feature) {
  const names = {
    x1: "x₁", x2: "x₂", x1_squared: "x₁²", x2_squared: "x₂²", x1_x2: "x₁x₂", sin_x1: "sin x₁",
    sin_x2: "sin x₂" };
  return names[feature] ?? feature;
}
