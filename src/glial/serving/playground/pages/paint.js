// Canvases at the screen's resolution, and the page's colours as numbers.

export function surface(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== across || canvas.height !== down) {
    canvas.width = across;
    canvas.height = down;
  }
  const brush = canvas.getContext("2d");
  brush.setTransform(ratio, 0, 0, ratio, 0, 0);
  brush.clearRect(0, 0, width, height);
  brush.font = "12px system-ui, sans-serif";
  return { brush, width, height };
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export function numbers(name) {
  const text = colour(name).replace("#", "");
  return [0, 2, 4].map((at) => parseInt(text.slice(at, at + 2), 16));
}

export function mixed(from, to, share) {
  return from.map((one, at) => one + (to[at] - one) * share);
}

export function bytes(text) {
  return Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
}

// A picture of cells, each coloured by a function of its number, to be drawn at any size.
export function cells(side, paint, down = side) {
  const picture = new OffscreenCanvas(side, down);
  const brush = picture.getContext("2d");
  const image = brush.createImageData(side, down);
  for (let cell = 0; cell < side * down; cell += 1) {
    image.data.set([...paint(cell), 255], 4 * cell);
  }
  brush.putImageData(image, 0, 0);
  return picture;
}

// From blue through the ground to orange, by a byte.
export function diverging() {
  const [low, high, ground] = [numbers("against"), numbers("for"), numbers("ground")];
  const table = Array.from({ length: 256 }, (_, value) => {
    const place = value / 127.5 - 1;
    return mixed(ground, place < 0 ? low : high, Math.abs(place) * 0.85);
  });
  return (value) => table[value];
}

export function short(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(0);
  return String(Number(value.toPrecision(3)));
}

// Round numbers between two values.
export function ticks(low, high, most = 5) {
  if (!(high > low)) return [low];
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const width = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const found = [];
  for (let tick = Math.ceil(low / width); tick * width <= high + width * 1e-9; tick += 1) {
    found.push(tick * width);
  }
  return found;
}
