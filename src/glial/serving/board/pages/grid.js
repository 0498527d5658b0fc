// The table of runs: only the rows in sight are made, so that thousands cost nothing.

import { el, fill, soon } from "./dom.js";
import { seconds, text, when } from "./numbers.js";
import { title } from "./rows.js";

const HIGH = 32;
const SPARE = 10;

export class Grid {
  constructor(holder, { picked, opened, sorted }) {
    Object.assign(this, { holder, picked, opened, sorted });
    this.rows = [];
    this.columns = [];
    this.at = 0;
    this.sort = { column: "updated", down: true };
    this.head = el("tr", { role: "row", "aria-rowindex": "1" });
    this.body = el("tbody", { role: "rowgroup" });
    this.table = el("table", { role: "grid", "aria-label": "Runs", class: "runs" },
      el("thead", { role: "rowgroup" }, this.head), this.body);
    holder.append(this.table);
    this.paint = soon(() => this.draw());
    holder.addEventListener("scroll", this.paint, { passive: true });
    new ResizeObserver(this.paint).observe(holder);
    this.body.addEventListener("keydown", (event) => this.#key(event));
  }

  set(rows, columns, picks) {
    Object.assign(this, { rows, columns, picks });
    this.at = Math.max(0, Math.min(this.at, rows.length - 1));
    this.table.setAttribute("aria-rowcount", rows.length + 1);
    this.#heads();
    this.draw();
  }

  #heads() {
    const key = JSON.stringify([this.columns, this.sort]);
    if (key === this.headKey) return;
    this.headKey = key;
    const head = (name) => {
      const own = this.sort.column === name;
      const direction = own ? (this.sort.down ? "descending" : "ascending") : "none";
      return el("th", { scope: "col", role: "columnheader", "aria-sort": direction },
        el("button", { type: "button", "data-column": name, onclick: () => this.sorted(name) },
          title(name), el("span", { "aria-hidden": "true", text: own ? (this.sort.down ? " ▼" : " ▲") : "" })));
    };
    const focused = document.activeElement?.dataset?.column;
    fill(this.head, el("th", { scope: "col", role: "columnheader", text: "pick" }), ...this.columns.map(head));
    if (focused) this.head.querySelector(`[data-column="${CSS.escape(focused)}"]`)?.focus();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.holder.scrollTop / HIGH) - SPARE);
    const seen = Math.ceil(this.holder.clientHeight / HIGH) + 2 * SPARE;
    const last = Math.min(this.rows.length, first + seen);
    const focused = this.body.contains(document.activeElement);
    const gap = (count) => {
      const row = el("tr", { role: "presentation", "aria-hidden": "true", class: "gap" });
      row.style.height = `${count * HIGH}px`;
      return row;
    };
    const made = [];
    for (let at = first; at < last; at += 1) made.push(this.#row(this.rows[at], at));
    fill(this.body, first ? gap(first) : null, ...made,
      last < this.rows.length ? gap(this.rows.length - last) : null);
    if (focused) this.#focus();
  }

  #row(row, at) {
    const pick = this.picks.get(row.id);
    const box = el("input", { type: "checkbox", tabindex: "-1", checked: Boolean(pick), "aria-label": `pick ${row.shown}`,
      onchange: () => { this.at = at; this.picked(row.id); } });
    const mark = el("span", { class: "pick", "aria-hidden": "true", text: pick ? pick.number : "" });
    if (pick) mark.style.borderColor = `var(${pick.colour})`;
    return el("tr", { role: "row", "aria-rowindex": at + 2, "aria-selected": Boolean(pick) ? "true" : "false",
      tabindex: at === this.at ? "0" : "-1", "data-id": row.id, onfocus: () => { this.at = at; } },
    el("td", { role: "gridcell" }, box, mark),
    ...this.columns.map((name) => cell(row, name)));
  }

  #focus() {
    this.body.querySelector(`[aria-rowindex="${this.at + 2}"]`)?.focus({ preventScroll: true });
  }

  #key(event) {
    if (event.target.tagName === "A" || event.target.tagName === "INPUT") {
      if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    }
    const page = Math.max(1, Math.floor(this.holder.clientHeight / HIGH) - 2);
    const move = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page,
      Home: -Infinity, End: Infinity }[event.key];
    if (move !== undefined) {
      this.at = Math.max(0, Math.min(this.rows.length - 1, this.at + move));
      const top = this.at * HIGH;
      const view = this.holder.clientHeight - 2 * HIGH;
      if (top < this.holder.scrollTop) this.holder.scrollTop = top;
      else if (top > this.holder.scrollTop + view) this.holder.scrollTop = top - view;
      this.draw();
      this.#focus();
    } else if (event.key === " ") {
      this.picked(this.rows[this.at].id);
    } else if (event.key === "Enter") {
      this.opened(this.rows[this.at].id);
    } else {
      return;
    }
    event.preventDefault();
  }
}

function cell(row, name) {
  const value = row[name];
  if (name === "shown") {
    return el("td", { role: "gridcell", class: "name" },
      row.star ? el("span", { class: "star", role: "img", "aria-label": "starred", text: "★ " }) : null,
      el("a", { href: `/run/${row.id}`, tabindex: "-1", title: row.name, text: row.shown }));
  }
  if (name === "status") return el("td", { role: "gridcell" }, badge(value, row.fraction, row.damage));
  if (name === "problems") return el("td", { role: "gridcell", class: "text" }, ...found(row));
  const words = { started: when, updated: when, seconds }[name]?.(value)
    ?? (Array.isArray(value) ? value.join(", ") : text(value));
  const kind = typeof value === "number" ? "number" : "text";
  return el("td", { role: "gridcell", class: kind, title: words.length > 24 ? words : null, text: words });
}

export function badge(status, fraction = null, reason = "") {
  const share = status === "training" && fraction !== null ? ` ${Math.floor(100 * fraction)} %` : "";
  return el("span", { class: `badge ${status}`, title: reason || null, text: `${status}${share}` });
}

function found(row) {
  const count = row.errors + row.warnings;
  if (!count && !row.notes) return [document.createTextNode("–")];
  const kind = row.errors ? "error" : row.warnings ? "warning" : "note";
  return [el("span", { class: `badge ${kind}`, text: `${count || row.notes} ${kind}${(count || row.notes) > 1 ? "s" : ""}` }),
    document.createTextNode(` ${row.problems}`)];
}
