// Elements are made here and nowhere else; what a run says only ever becomes text.

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "text") made.textContent = value;
    else if (name === "value" || name === "checked" || name === "selected") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function byId(id) {
  return document.getElementById(id);
}

export function fill(parent, ...children) {
  parent.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
}

export function options(select, entries, chosen) {
  const made = entries.map(([value, text]) => el("option", { value, text }));
  select.replaceChildren(...made);
  if (entries.some(([value]) => value === chosen)) select.value = chosen;
}

export function table(caption, heads, rows, numeric = []) {
  const cell = (value, at) =>
    el("td", { class: numeric.includes(at) ? "number" : null },
      value instanceof Node ? value : document.createTextNode(value ?? "–"));
  return el("table", { class: "plain" },
    el("caption", { text: caption }),
    el("thead", {}, el("tr", {}, ...heads.map((head, at) =>
      el("th", { scope: "col", class: numeric.includes(at) ? "number" : null, text: head })))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map(cell)))));
}

// Calls a function soon, and once for many askings.
export function soon(work, wait = 0) {
  let timer = null;
  return () => {
    if (timer !== null) return;
    const run = () => { timer = null; work(); };
    timer = wait ? setTimeout(run, wait) : requestAnimationFrame(run);
  };
}

// Calls an asynchronous function soon, once for many askings, and the less often the longer it
// takes: what trains on the same machine must not wait for who looks on.
export function seldom(work, { least = 1000, most = 10000, times = 300 } = {}) {
  let [timer, busy, asked, next] = [null, false, false, 0];
  const run = async () => {
    [timer, busy, asked] = [null, true, false];
    const begin = performance.now();
    await work();
    // Until what was drawn is on the screen.
    await new Promise((done) => { requestAnimationFrame(() => setTimeout(done)); });
    const now = performance.now();
    next = now + Math.min(most, Math.max(least, times * (now - begin)));
    busy = false;
    if (asked) ask();
  };
  const ask = () => {
    if (busy || timer !== null) { asked = true; return; }
    timer = setTimeout(run, Math.max(least, next - performance.now()));
  };
  return ask;
}
