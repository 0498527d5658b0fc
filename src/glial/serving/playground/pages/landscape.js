// The loss around the weights: bands between contours, and the way that training went.

import { cells, colour, mixed, numbers, short, surface } from "./paint.js";

const BANDS = 14;

export function drawLandscape(canvas, told) {
  const { brush, width } = surface(canvas);
  if (!told || told.least === null) return;
  const [low, high] = [numbers("ground"), numbers("c4")];
  const side = told.x.length;
  const [floor, top] = [Math.log(told.least + 1e-9), Math.log(Math.min(told.most ?? Infinity, told.least * 1e4 + 1e3) + 1e-9)];
  const fine = 4 * (side - 1) + 1;
  const picture = cells(fine, (cell) => {
    const [right, up] = [cell % fine, fine - 1 - Math.floor(cell / fine)];
    const value = between(told.values, right / 4, up / 4);
    if (value === null) return numbers("line");
    const share = (Math.log(value + 1e-9) - floor) / Math.max(1e-9, top - floor);
    return mixed(low, high, Math.min(1, Math.floor(Math.max(0, share) * BANDS) / BANDS) * 0.8);
  });
  brush.imageSmoothingEnabled = true;
  brush.drawImage(picture, 0, 0, width, width);
  const x = (value) => ((value - told.x[0]) / (told.x.at(-1) - told.x[0])) * width;
  const y = (value) => width - ((value - told.y[0]) / (told.y.at(-1) - told.y[0])) * width;
  brush.strokeStyle = colour("for");
  brush.lineWidth = 2.5;
  brush.beginPath();
  told.path.forEach(([a, b], at) => (at ? brush.lineTo(x(a), y(b)) : brush.moveTo(x(a), y(b))));
  brush.stroke();
  const [a, b] = told.path[0] ?? [0, 0];
  mark(brush, x(a), y(b), "start");
  mark(brush, x(0), y(0), "now");
}

function between(values, right, up) {
  const [column, row] = [Math.min(Math.floor(right), values[0].length - 2), Math.min(Math.floor(up), values.length - 2)];
  const [s, t] = [right - column, up - row];
  const corners = [values[row][column], values[row][column + 1], values[row + 1][column], values[row + 1][column + 1]];
  if (corners.includes(null)) return null;
  return (1 - t) * ((1 - s) * corners[0] + s * corners[1]) + t * ((1 - s) * corners[2] + s * corners[3]);
}

function mark(brush, x, y, text) {
  brush.beginPath();
  brush.arc(x, y, 5, 0, 2 * Math.PI);
  brush.fillStyle = colour("ground");
  brush.fill();
  brush.strokeStyle = colour("ink");
  brush.lineWidth = 2;
  brush.stroke();
  brush.fillStyle = colour("ink");
  brush.textAlign = x > 60 ? "right" : "left";
  brush.textBaseline = "middle";
  brush.fillText(text, x + (x > 60 ? -9 : 9), y);
}

export function landscapeWords(told) {
  if (told.least === null) return "The loss is no number here.";
  const here = told.values[Math.floor(told.y.length / 2)]?.[Math.floor(told.x.length / 2)];
  const parts = told.kind === "path"
    ? `along the two main directions of the way training went, which hold ${Math.round(100 * (told.shares[0] + told.shares[1]))} % of it`
    : "along two random directions, as long as the network's own weights";
  const range = `The loss goes from ${short(told.least)} to ${told.most === null ? "beyond all numbers" : short(told.most)}`;
  const middle = told.kind === "random" ? `; it is ${short(here)} where the network stands` : "";
  return `${range}${middle}, ${parts}. Strong colour is a high loss.`;
}
