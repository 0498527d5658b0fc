// The page: one playground of its own on the server, its knobs, and its pictures.

import { read, written } from "./address.js";
import { ask, close, frames, inTurn } from "./asking.js";
import { drawBoundary, keyOf } from "./boundary.js";
import { buildControls } from "./controls.js";
import { drawCurves } from "./curves.js";
import { showFindings } from "./findings.js";
import { drawFlow } from "./flow.js";
import { drawLandscape, landscapeWords } from "./landscape.js";
import { showLessons } from "./lessons.js";
import { drawNetwork } from "./network.js";
import { drawOutputs } from "./outputs.js";
import { short } from "./paint.js";

const at = (id) => document.getElementById(id);
const WORDS_SECONDS = 1;
const state = { knobs: {}, session: null, frame: null, points: null, landscape: null, told: 0 };
let properties = {}, controls = {}, byPlanKey = {}, stream = null, waiting = null;

function complain(error) {
  at("error").textContent = error ? error.message : "";
}

async function tried(work) {
  try {
    const result = await inTurn(work);
    complain(null);
    return result;
  } catch (error) {
    complain(error);
    return null;
  }
}

const toSession = (path, body) => ask(`/sessions/${state.session}${path}`, body);

async function open() {
  const made = await tried(() => ask("/sessions", { knobs: state.knobs }));
  if (!made) return;
  state.session = made.session;
  take(made.knobs);
  stream?.close();
  stream = frames(made.session, draw, lost);
}

function lost() {
  at("note").textContent = "The playground was closed: a new one was opened with the same knobs.";
  setTimeout(open, 1000);
}

function take(knobs) {
  state.knobs = knobs;
  for (const [name, control] of Object.entries(controls)) control.show(knobs[name]);
  const isHeights = ["plane", "bumps"].includes(knobs.dataset);
  for (const [name, property] of Object.entries(properties)) {
    controls[name].element.hidden = property.task === (isHeights ? "classification" : "regression");
  }
  const address = written(knobs, properties);
  window.history.replaceState(null, "", address);
  at("link").href = address;
}

function turn(name, value) {
  state.knobs = { ...state.knobs, [name]: value };
  clearTimeout(waiting);
  waiting = setTimeout(send, 100);
}

async function send() {
  const wished = state.knobs;
  const told = await tried(() => toSession("/knobs", wished));
  for (const control of Object.values(controls)) {
    control.inputs.forEach((input) => input.removeAttribute("aria-invalid"));
  }
  if (told && wished === state.knobs) take(told.knobs);
  else if (!told) {
    const named = at("error").textContent.match(/\((\w+)\) cannot be/);
    controls[named?.[1]]?.inputs.forEach((input) => input.setAttribute("aria-invalid", "true"));
  }
}

async function copy(event) {
  event.preventDefault();
  try {
    await navigator.clipboard.writeText(location.href);
    at("note").textContent = "The address is copied: it holds this setting.";
  } catch {
    at("note").textContent = "Copy the page's address: it holds this setting.";
  }
}

async function setAll(knobs, resets, plays = true) {
  const first = Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, one.default]));
  const told = await tried(() => toSession("/knobs", { ...first, ...knobs }));
  if (!told) return;
  take(told.knobs);
  if (resets) await tried(() => toSession("/reset"));
  if (plays) await play(true);
}

async function play(playing) {
  await tried(() => toSession("/play", { playing, steps: Number(at("speed").value) }));
}

function draw(frame) {
  if (frame.points) state.points = frame.points;
  state.frame = frame;
  if (state.landscape && frame.step < state.landscape.step) forgetLandscape();
  at("epoch").textContent = frame.epoch;
  at("steps").textContent = frame.step;
  at("rate").textContent = short(frame.rate);
  at("play").textContent = frame.playing ? "Pause" : "Play";
  at("play").disabled = at("step").disabled = frame.finished;
  at("reset").disabled = at("survey").disabled = at("lesson").disabled = false;
  if (at("note").textContent !== frame.note) at("note").textContent = frame.note;
  paint();
  // Words change slowly, so that a reader of the screen can follow.
  const now = performance.now() / 1000;
  if (!frame.playing || now - state.told > WORDS_SECONDS) {
    state.told = now;
    for (const [name, text] of Object.entries(frame.words)) at(`${name}-words`).textContent = text;
    at("boundary-key").textContent = keyOf(frame);
  }
  showFindings(at("findings"), frame, byPlanKey, (wished) => {
    state.knobs = { ...state.knobs, ...wished };
    send();
  });
}

function paint() {
  const { frame, points, knobs } = state;
  if (!frame) return;
  drawBoundary(at("boundary"), frame, points);
  if (frame.layers[0].weights[0].length === knobs.features.length) {
    drawNetwork(at("network"), frame, knobs.features);
  }
  drawCurves(at("curves"), frame);
  drawFlow(at("flow"), frame);
  drawOutputs(at("outputs"), frame);
  drawLandscape(at("landscape"), state.landscape);
}

function forgetLandscape() {
  state.landscape = null;
  at("landscape-words").textContent = "Not drawn yet: train for some steps, then draw.";
}

async function survey() {
  const asked = { kind: at("directions").value, seed: Number(at("landscape-seed").value) };
  const told = await tried(() => toSession("/landscape", asked));
  if (!told) return;
  state.landscape = told;
  at("landscape-words").textContent = landscapeWords(told);
  drawLandscape(at("landscape"), told);
}

function help(event) {
  const element = event.target.closest?.("[data-knob]");
  if (!element) return;
  const property = properties[element.dataset.knob];
  const title = document.createElement("strong");
  title.textContent = `${property.title}. `;
  const plan = property.plan ? ` In a plan: ${property.plan}.` : "";
  at("help").replaceChildren(title, `${property.description}${plan}`);
}

async function begin() {
  const told = await tried(() => ask("/knobs", null, "GET"));
  if (!told) return;
  properties = told.schema.properties;
  for (const [name, { plan, title, task }] of Object.entries(properties)) {
    if (plan) (byPlanKey[plan] ??= []).push({ name, title, task });
  }
  controls = buildControls(at("knobs"), properties, turn);
  showLessons(told.lessons, {
    select: at("lesson"), then: at("then"), look: at("look"), next: at("next") }, setAll);
  state.knobs = read(location.hash, properties);
  await open();
  if (!state.session) {
    state.knobs = {};
    await open();
    at("error").textContent = "The address holds a setting that is not possible: these are the first ones.";
  }
}

at("all-knobs").open = window.innerWidth > 900;
at("play").addEventListener("click", () => play(!state.frame?.playing));
at("speed").addEventListener("change", () => play(Boolean(state.frame?.playing)));
at("step").addEventListener("click", () => tried(() => toSession("/step")));
at("reset").addEventListener("click", () => tried(() => toSession("/reset")));
at("survey").addEventListener("click", survey);
at("knobs").addEventListener("focusin", help);
at("knobs").addEventListener("pointermove", (event) => {
  if (event.movementX || event.movementY) help(event);
});
at("link").addEventListener("click", copy);
window.addEventListener("hashchange", () => setAll(read(location.hash, properties), true, false));
window.addEventListener("resize", paint);
window.addEventListener("pagehide", () => {
  stream?.close();
  if (state.session) close(state.session);
});
window.addEventListener("pageshow", (event) => event.persisted && open());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
begin();
