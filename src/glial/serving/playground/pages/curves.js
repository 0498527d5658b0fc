// Loss and score over epochs: training lines are whole, test lines dashed.

import { colour, short, surface, ticks } from "./paint.js";

const LEFT = 46, RIGHT = 44, TOP = 16, GAP = 30, BOTTOM = 29;

export function drawCurves(canvas, frame) {
  const { brush, width, height } = surface(canvas);
  const { history } = frame;
  const half = (height - TOP - GAP - BOTTOM) / 2;
  const last = Math.max(1, history.epoch.at(-1) ?? 1);
  const box = { left: LEFT, right: width - RIGHT, last };
  panel(brush, { ...box, top: TOP, bottom: TOP + half }, "loss", history.epoch,
    history.train_loss, history.test_loss, true);
  const score = frame.task === "classification" ? "share that is right" : "R2";
  panel(brush, { ...box, top: TOP + half + GAP, bottom: height - BOTTOM }, score, history.epoch,
    history.train_score, history.test_score, false);
  brush.fillStyle = colour("muted");
  brush.textAlign = "center";
  brush.textBaseline = "alphabetic";
  for (const tick of ticks(0, last, 4)) brush.fillText(short(tick), across(box, tick), height - 15);
  brush.fillText("epoch", (box.left + box.right) / 2, height - 4);
}

function across(box, epoch) {
  return box.left + (epoch / box.last) * (box.right - box.left);
}

function panel(brush, box, title, epochs, train, test, isLoss) {
  const known = [...train, ...test].filter((value) => value !== null);
  const log = isLoss && known.length > 0 && Math.min(...known) > 0
    && Math.max(...known) > 20 * Math.min(...known);
  const scaled = (value) => (log ? Math.log10(value) : value);
  let low = known.length ? Math.min(...known.map(scaled)) : 0;
  let high = known.length ? Math.max(...known.map(scaled)) : 1;
  if (!isLoss) [low, high] = [Math.max(-1, Math.min(0, low)), 1];
  else if (!log) low = Math.min(0, low);
  if (high - low < 1e-9) high = low + 1;
  const up = (value) => {
    const share = (scaled(value) - low) / (high - low);
    return box.bottom - Math.max(0, Math.min(1, share)) * (box.bottom - box.top);
  };
  brush.fillStyle = colour("muted");
  brush.textAlign = "left";
  brush.textBaseline = "alphabetic";
  brush.fillText(log ? `${title} (logarithmic)` : title, box.left, box.top - 5);
  const marks = log
    ? whole(low, high).map((power) => 10 ** power)
    : ticks(low, high, 3);
  for (const mark of marks) {
    brush.strokeStyle = colour("grid");
    brush.lineWidth = 1;
    line(brush, [[box.left, up(mark)], [box.right, up(mark)]]);
    brush.textAlign = "right";
    brush.textBaseline = "middle";
    brush.fillText(short(mark), box.left - 4, up(mark));
  }
  const ends = [["train", train, "c1", []], ["test", test, "c2", [6, 3]]].map(
    ([name, values, tone, dash]) => {
      const places = values.flatMap((value, at) =>
        (value === null ? [] : [[across(box, epochs[at]), up(value)]]));
      brush.strokeStyle = colour(tone);
      brush.lineWidth = 2;
      brush.setLineDash(dash);
      line(brush, places);
      brush.setLineDash([]);
      return { name, tone, y: places.at(-1)?.[1] };
    });
  label(brush, box, ends);
}

function whole(low, high) {
  const found = [];
  for (let power = Math.ceil(low); power <= high; power += 1) found.push(power);
  return found.length ? found : [Math.round((low + high) / 2)];
}

function line(brush, places) {
  brush.beginPath();
  places.forEach(([x, y], at) => (at ? brush.lineTo(x, y) : brush.moveTo(x, y)));
  brush.stroke();
}

// Names at the ends of lines, never one over the other.
function label(brush, box, ends) {
  const shown = ends.filter((end) => end.y !== undefined).sort((a, b) => a.y - b.y);
  if (shown.length === 2 && shown[1].y - shown[0].y < 13) {
    const middle = (shown[0].y + shown[1].y) / 2;
    [shown[0].y, shown[1].y] = [middle - 6.5, middle + 6.5];
  }
  brush.textAlign = "left";
  brush.textBaseline = "middle";
  for (const { name, tone, y } of shown) {
    brush.fillStyle = colour(tone);
    brush.fillText(name, box.right + 5, y);
  }
}
