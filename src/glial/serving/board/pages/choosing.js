// Which runs are shown: what the controls of the filter say, and the ranges that were brushed.

import { byId, options } from "./dom.js";
import { compare, title } from "./rows.js";

const KINDS = ["task", "model", "status", "source"];
const LOOKED = ["shown", "name", "task", "model", "source", "problems", "note"];

export class Choosing {
  constructor(changed, cleared) {
    this.ranges = new Map();
    const controls = [...document.querySelectorAll("#filters input, #filters select")];
    for (const control of controls) control.addEventListener("input", changed);
    byId("clear").addEventListener("click", () => {
      for (const control of controls) {
        if (control.type === "checkbox") control.checked = false;
        else control.value = "";
      }
      this.ranges.clear();
      cleared();
      changed();
    });
  }

  offer(rows, metrics) {
    for (const kind of KINDS) {
      const values = [...new Set(rows.map((row) => row[kind]).filter(Boolean))].sort();
      const select = byId(`filter-${kind}`);
      options(select, [["", "all"], ...values.map((value) => [value, value])], select.value);
    }
    const select = byId("filter-metric");
    options(select, [["", "none"], ...metrics.map((name) => [`figure.${name}`, title(`figure.${name}`)])], select.value);
  }

  chosen(rows, sort) {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const members = byId("members").checked;
    const starred = byId("starred").checked;
    const kinds = KINDS.map((kind) => [kind, byId(`filter-${kind}`).value]).filter(([, value]) => value);
    const ranges = new Map(this.ranges);
    const metric = byId("filter-metric").value;
    const [low, high] = ["filter-low", "filter-high"].map((id) => byId(id).value);
    if (metric && (low || high)) {
      ranges.set(metric, [low === "" ? -Infinity : Number(low), high === "" ? Infinity : Number(high)]);
    }
    const fits = (row) => (members || !row.parent) && (!starred || row.star)
      && kinds.every(([kind, value]) => row[kind] === value)
      && [...ranges].every(([name, [least, most]]) => row[name] !== null && row[name] >= least && row[name] <= most)
      && words.every((word) => LOOKED.some((name) => String(row[name] ?? "").toLowerCase().includes(word))
        || (row.tags ?? []).some((tag) => tag.toLowerCase().includes(word)));
    const sign = sort.down ? -1 : 1;
    const empty = (value) => value === null || value === undefined;
    return rows.filter(fits).sort((a, b) => {
      const [one, other] = [a[sort.column], b[sort.column]];
      const order = compare(one, other);
      return (empty(one) || empty(other) ? order : sign * order) || compare(a.name, b.name);
    });
  }
}
