// Numbers as people write them, ticks, and scales.

export function text(value, digits = 4) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return value.toLocaleString("en");
  if (size >= 1e6 || size < 1e-3) return value.toExponential(2).replace("e+", "e");
  return String(Number(value.toPrecision(digits)));
}

export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 60) return `${text(value, 3)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  return `${Math.floor(value / 3600)} h ${Math.round((value % 3600) / 60)} min`;
}

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) { value /= 1024; at += 1; }
  return `${text(value, 3)} ${units[at]}`;
}

export function when(value) {
  return value ? new Date(value * 1000).toISOString().slice(0, 16).replace("T", " ") : "–";
}

// Steps of 1, 2 or 5 times a power of ten; on a log scale powers of ten.
export function ticks(low, high, most = 6, log = false) {
  if (!(high > low)) return [low];
  if (log) {
    const first = Math.ceil(Math.log10(low) - 1e-9);
    const last = Math.floor(Math.log10(high) + 1e-9);
    const stride = Math.max(1, Math.ceil((last - first + 1) / most));
    const found = [];
    for (let at = first; at <= last; at += stride) found.push(10 ** at);
    if (found.length > 1) return found;
  }
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1) {
    found.push(Number((at * step).toPrecision(12)));
  }
  return found;
}

export function scale(low, high, from, to, log = false) {
  const change = log ? Math.log10 : (value) => value;
  const back = log ? (value) => 10 ** value : (value) => value;
  const [a, b] = [change(low), change(high)];
  const size = b - a || 1;
  const at = (value) => from + ((change(value) - a) / size) * (to - from);
  at.invert = (place) => back(a + ((place - from) / (to - from)) * size);
  return at;
}

// A mean of the values so far that forgets, freed of its start at zero.
export function smoothed(values, share) {
  if (!share) return values;
  const found = new Float32Array(values.length);
  let mean = 0;
  let weight = 0;
  for (let at = 0; at < values.length; at += 1) {
    if (Number.isNaN(values[at])) { found[at] = NaN; continue; }
    mean = share * mean + (1 - share) * values[at];
    weight = share * weight + (1 - share);
    found[at] = mean / weight;
  }
  return found;
}
