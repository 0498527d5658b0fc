// Lessons: each sets the knobs anew, and says what to look at.

import { node } from "./controls.js";

export function showLessons(lessons, parts, set) {
  let chosen = null;
  for (const lesson of lessons) {
    parts.select.append(node("option", { value: lesson.name, textContent: lesson.title }));
  }
  parts.select.addEventListener("change", () => {
    chosen = lessons.find((lesson) => lesson.name === parts.select.value) ?? null;
    parts.then.hidden = parts.next.hidden = !chosen;
    if (!chosen) return;
    parts.look.textContent = chosen.look;
    parts.next.textContent = `Then: ${chosen.then}`;
    set(chosen.knobs, true);
  });
  parts.then.addEventListener("click", () => {
    if (chosen) set({ ...chosen.knobs, ...chosen.after }, true);
  });
}
