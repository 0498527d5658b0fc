// Controls made from the schema of the knobs: one list for server and page.

import { sliderPlace, sliderValue } from "./scales.js";
import { named } from "./network.js";

export function buildControls(parent, properties, turned) {
  const controls = {};
  const groups = new Map();
  for (const [name, property] of Object.entries(properties)) {
    if (!groups.has(property.group)) groups.set(property.group, group(parent, property.group));
    const built = build(name, property, (value) => turned(name, value));
    groups.get(property.group).append(built.element);
    controls[name] = built;
  }
  return controls;
}

function group(parent, title) {
  const folded = node("details", { className: "group" });
  folded.open = true;
  folded.append(node("summary", { textContent: title }));
  parent.append(folded);
  return folded;
}

function build(name, property, turned) {
  if (property.enum) return choice(name, property, turned);
  if (property.type === "boolean") return tick(name, property, turned);
  if (property.type === "array" && property.items.enum) return choices(name, property, turned);
  if (property.type === "array") return layers(name, property, turned);
  return amount(name, property, turned);
}

export function node(kind, values = {}, attributes = {}) {
  const made = Object.assign(document.createElement(kind), values);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function framed(name, property, kind = "div") {
  const element = node(kind, { className: "knob" }, { "data-knob": name });
  const help = node("span", { className: "hidden", id: `${name}-help`, textContent: property.description });
  element.append(help);
  return element;
}

const spoken = (text) => text.replaceAll("_", " ");

function choice(name, property, turned) {
  const element = framed(name, property);
  const select = node("select", { id: name }, { "aria-describedby": `${name}-help` });
  for (const value of property.enum) select.append(node("option", { value, textContent: spoken(value) }));
  select.addEventListener("change", () => turned(select.value));
  element.append(node("label", { textContent: property.title, htmlFor: name }), select);
  return { element, inputs: [select], show: (value) => { select.value = value; } };
}

function tick(name, property, turned) {
  const element = framed(name, property);
  const box = node("input", { type: "checkbox", id: name }, { "aria-describedby": `${name}-help` });
  box.addEventListener("change", () => turned(box.checked));
  const label = node("label", { className: "check", htmlFor: name });
  label.append(box, property.title);
  element.append(label);
  return { element, inputs: [box], show: (value) => { box.checked = value; } };
}

function amount(name, property, turned) {
  const element = framed(name, property);
  const whole = property.type === "integer";
  const slider = node("input", { type: "range", id: `${name}-slider`, min: 0, max: 1000, step: 1 },
    { "aria-label": property.title, "aria-describedby": `${name}-help` });
  const exact = node("input", { type: "number", id: name, min: property.minimum, max: property.maximum },
    { "aria-describedby": `${name}-help`, step: whole ? 1 : "any" });
  const show = (value) => {
    slider.value = sliderPlace(value, property);
    slider.setAttribute("aria-valuetext", String(value));
    if (document.activeElement !== exact || document.activeElement.value === "") exact.value = value;
  };
  slider.addEventListener("input", () => {
    const value = sliderValue(Number(slider.value), property);
    slider.setAttribute("aria-valuetext", String(value));
    exact.value = value;
    turned(value);
  });
  exact.addEventListener("change", () => {
    const value = exact.value === "" ? property.default : Number(exact.value);
    slider.value = sliderPlace(value, property);
    turned(value);
  });
  const pair = node("div", { className: "pair" });
  pair.append(slider, exact);
  element.append(node("label", { textContent: property.title, htmlFor: name }), pair);
  return { element, inputs: [slider, exact], show };
}

function choices(name, property, turned) {
  const element = framed(name, property, "fieldset");
  element.setAttribute("aria-describedby", `${name}-help`);
  const list = node("div", { className: "choices" });
  const boxes = property.items.enum.map((value) => {
    const box = node("input", { type: "checkbox", value, id: `${name}-${value}` });
    const label = node("label", { htmlFor: box.id });
    label.append(box, named(value));
    list.append(label);
    return box;
  });
  const chosen = () => boxes.filter((box) => box.checked).map((box) => box.value);
  for (const box of boxes) {
    box.addEventListener("change", () => {
      if (chosen().length < (property.minItems ?? 0)) box.checked = true;
      else turned(chosen());
    });
  }
  element.prepend(node("legend", { textContent: property.title }));
  element.append(list);
  return { element, inputs: boxes,
    show: (value) => boxes.forEach((box) => { box.checked = value.includes(box.value); }) };
}

function layers(name, property, turned) {
  const element = framed(name, property, "fieldset");
  element.setAttribute("aria-describedby", `${name}-help`);
  const list = node("div", { className: "layers" });
  const more = node("button", { type: "button", textContent: "+", id: `${name}-more` },
    { "aria-label": "Add a hidden layer" });
  const fewer = node("button", { type: "button", textContent: "−", id: `${name}-fewer` },
    { "aria-label": "Remove the last hidden layer" });
  const { minimum, maximum } = property.items;
  let sizes = [];
  const change = (next) => { show(next); turned(next); };
  const show = (value) => {
    if (sizes.length && String(sizes) === String(value)) return;
    const held = document.activeElement;
    sizes = [...value];
    list.replaceChildren(...sizes.map((size, at) => {
      const input = node("input", { type: "number", min: minimum, max: maximum, value: size },
        { "aria-label": `Units of hidden layer ${at + 1}`, "data-layer": at });
      input.addEventListener("change", () => change(
        sizes.map((old, other) => (other === at ? Number(input.value) || 1 : old))));
      return input;
    }), fewer, more);
    more.disabled = sizes.length >= property.maxItems;
    fewer.disabled = sizes.length === 0;
    const layer = held?.dataset?.layer;
    if (layer !== undefined) list.querySelector(`[data-layer="${layer}"]`)?.focus();
    else if (held === more || held === fewer) held.focus();
  };
  more.addEventListener("click", () => change([...sizes, sizes.at(-1) ?? 4]));
  fewer.addEventListener("click", () => change(sizes.slice(0, -1)));
  element.prepend(node("legend", { textContent: property.title }));
  element.append(list);
  return { element, inputs: [more, fewer], show };
}
