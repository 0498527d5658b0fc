// The setting in the page's address: only what differs from the first one, so that it is short.

export function written(knobs, properties) {
  const parts = new URLSearchParams();
  for (const [name, property] of Object.entries(properties)) {
    const value = knobs[name];
    if (JSON.stringify(value) === JSON.stringify(property.default)) continue;
    parts.set(name, Array.isArray(value) ? value.join(".") : String(value));
  }
  return `#${parts}`;
}

export function read(hash, properties) {
  const knobs = {};
  for (const [name, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (property) knobs[name] = understood(text, property);
  }
  return knobs;
}

function understood(text, property) {
  if (property.type === "array") {
    const items = text === "" ? [] : text.split(".");
    return property.items.type === "integer" ? items.map(Number) : items;
  }
  if (property.type === "boolean") return text === "true";
  return property.type === "string" ? text : Number(text);
}
