// What the doctor says, and a button for each remedy that a knob is.

import { node } from "./controls.js";

export function showFindings(list, frame, byPlanKey, turn) {
  const { findings, step, task } = frame;
  const text = JSON.stringify([findings, step > 0]);
  if (list.dataset.shown === text) return;
  list.dataset.shown = text;
  if (!findings.length) {
    list.replaceChildren(node("li", {
      textContent: step ? "Nothing is wrong so far." : "It looks on while the network trains." }));
    return;
  }
  list.replaceChildren(...findings.map((finding) => shown(finding, (key) => byPlanKey[key]?.find((knob) => (knob.task ?? task) === task), turn)));
}

function shown(finding, knobOf, turn) {
  const item = node("li", { className: finding.severity });
  const where = (finding.where ?? "").replace(/^MLP(-\d+)?\.?/, "");
  const place = where ? `, at ${where}` : "";
  const kind = `${finding.severity}: ${finding.problem.replaceAll("-", " ")}${place}. `;
  item.append(node("span", { className: "kind", textContent: kind }), `${sentence(finding.means)} ${sentence(finding.do)} `);
  const wished = {}, said = [];
  for (const [key, value] of Object.entries(finding.remedy?.set ?? {})) {
    const knob = knobOf(key);
    if (!knob) continue;
    wished[knob.name] = value;
    said.push(`${knob.title} to ${typeof value === "number" ? Number(value.toPrecision(3)) : value}`);
  }
  if (said.length) {
    const button = node("button", { type: "button", textContent: `Set ${said.join(", ")}` });
    button.addEventListener("click", () => turn(wished));
    item.append(button);
  }
  return item;
}

function sentence(text) {
  return text && `${text[0].toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}
