// Colours of the page for what is drawn, and the choice between light and dark.

const SERIES = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7", "--c8"];
const DASHES = [[], [9, 3], [3, 2], [10, 3, 3, 3], [6, 2]];
const watchers = new Set();
let known = null;

export function colour(name) {
  known ??= new Map();
  if (!known.has(name)) {
    known.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  }
  return known.get(name);
}

// A colour and a dash: neither alone tells curves apart.
export function style(at) {
  const dash = DASHES[at % DASHES.length];
  return { colour: SERIES[at % SERIES.length], dash, number: at + 1 };
}

export function onLook(work) {
  watchers.add(work);
}

function changed() {
  known = null;
  for (const work of watchers) work();
}

export function startLook(select) {
  const kept = localStorage.getItem("glial-look") ?? "auto";
  const apply = (value) => {
    if (value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = value;
    changed();
  };
  select.value = ["auto", "light", "dark"].includes(kept) ? kept : "auto";
  apply(select.value);
  select.addEventListener("change", () => {
    localStorage.setItem("glial-look", select.value);
    apply(select.value);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}
