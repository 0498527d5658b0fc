// The runs as rows, kept up to date: only what changed is asked for.

import { getCurves, getJson } from "./api.js";

export class Rows {
  constructor() {
    this.byId = new Map();
    this.version = 0;
    this.about = {};
    this.curves = new Map();
  }

  async update() {
    let told = await getJson(`/api/runs?since=${this.version}`);
    const known = this.about.plan_keys ?? told.plan_keys;
    if (String(known) !== String(told.plan_keys)) {
      told = await getJson("/api/runs?since=0");
      this.byId.clear();
    }
    const names = Object.keys(told.columns);
    told.ids.forEach((id, at) => {
      const row = { id };
      for (const name of names) row[name] = told.columns[name][at];
      row.shown = row.label || row.name;
      this.byId.set(id, row);
    });
    for (const id of told.removed) this.byId.delete(id);
    const metrics = new Set([...(this.about.metrics ?? []), ...told.metrics]);
    this.about = { ...told, metrics: [...metrics], columns: null, ids: null };
    this.version = told.version;
    return told.ids.length + told.removed.length;
  }

  all() {
    return [...this.byId.values()];
  }

  // Curves of a quantity: read whole once, then only those of runs that changed.
  async curvesOf(quantity, axis) {
    const key = `${quantity} ${axis}`;
    const held = this.curves.get(key) ?? { version: 0, byId: new Map() };
    this.curves.set(key, held);
    if (held.version < this.version) {
      const version = this.version;
      for (const [id, curve] of await getCurves(quantity, axis, held.version)) held.byId.set(id, curve);
      held.version = version;
    }
    return held.byId;
  }
}

// A column's name as people read it, and what kind of column it is.
export function title(name) {
  if (name.startsWith("figure.")) return name.slice(7).replace(".", " ").replaceAll("_", " ");
  if (name.startsWith("plan.")) return name.slice(5);
  return { shown: "run", problems: "findings", errors: "errors found" }[name] ?? name;
}

export function compare(a, b) {
  const empty = (value) => value === null || value === undefined || value === "";
  if (empty(a) || empty(b)) return Number(empty(a)) - Number(empty(b));
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}
