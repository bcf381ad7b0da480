// Ask every two seconds how things are, and show it.

import { Chart } from "./charts.js";
import { showKilled, showLimits, showMinutes, showSettings, showSummary, showWorkers } from "./parts.js";
import { clock, count, duration, plainDuration, plainRate, rate } from "./words.js";

const EVERY = 2000, PATIENCE = 5000, LONGEST_PAUSE = 15000;
const base = new URL(".", import.meta.url);
const find = (id) => document.getElementById(id);

const perSecond = (value) => `${rate(value)}/s`;
const charts = [
  { title: "Goodput", format: perSecond, axis: plainRate, least: 1, lines: [
    { key: "good", name: "good", ink: "blue", area: true },
    { key: "failed", name: "failed", ink: "red" },
  ] },
  { title: "Rejected", format: perSecond, axis: plainRate, least: 1, lines: [
    { key: "rejected", name: "rejected", ink: "amber", area: true },
  ] },
  { title: "Latency", format: duration, axis: plainDuration, least: 0.01, lines: [
    { key: "p99", name: "p99", ink: "violet" },
    { key: "p50", name: "p50", ink: "blue" },
  ] },
  { title: "In flight", format: count, axis: (value) => Number.isInteger(value) ? count(value) : "", least: 2, lines: [
    { key: "in_flight", name: "in flight", ink: "blue", area: true },
    { key: "limit", name: "limit", ink: "soft", dashed: true, steps: true },
  ] },
].map((options) => new Chart(find("charts"), options));

let answered = null, timer = null, failures = 0, pointed = null, series = null;

function say(state, text) {
  // Read out only when the state changes, and not every two seconds.
  const shown = find("state");
  const changed = shown.dataset.state !== state;
  shown.setAttribute("aria-live", changed ? "polite" : "off");
  shown.dataset.state = state;
  find("state-text").textContent = text;
}

function notice(text) {
  find("notice").hidden = !text;
  if (find("notice").textContent !== text) find("notice").textContent = text;
}

// The moment of the series that is looked at, in seconds; null for now.
function lookAt(time) {
  pointed = time;
  if (!series?.limit.length) return;
  const last = series.limit.length - 1;
  const place = time === null ? null : Math.round((time - series.first) / series.step);
  if (place !== null && (place < 0 || place > last)) return lookAt(null);
  for (const chart of charts) chart.point(place);
  const slider = find("moment");
  slider.max = last;
  slider.value = place ?? last;
  const text = place === null ? "now" : clock(series.first + place * series.step);
  find("moment-text").textContent = text;
  slider.setAttribute("aria-valuetext", text);
}

const placeToTime = (place) => place >= series.limit.length - 1 ? null : series.first + place * series.step;

function show(told) {
  const isEmpty = !told.workers.length && !told.killed.length;
  notice(isEmpty ? "No worker has told anything yet. Each begins with its first request, and tells its figures a second later." : "");
  find("content").hidden = isEmpty;
  if (isEmpty) return;
  showSummary(told);
  showLimits(told);
  showKilled(told);
  showWorkers(told);
  showMinutes(told.series);
  series = told.series;
  for (const chart of charts) chart.show(series, told.time);
  lookAt(pointed);
  find("served-by").textContent = `Worker ${told.served_by} has served this page.`;
}

class Refused extends Error {}

async function ask(name) {
  const response = await fetch(new URL(name, base), { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (response.status === 401 || response.status === 404) throw new Refused();
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

function failed(error) {
  failures += 1;
  find("content").classList.add("is-stale");
  if (error instanceof Refused) {
    say("error", "You may not see this any more");
    notice("The server refuses to tell more. Reload the page.");
    return;
  }
  const since = answered === null ? "No answer yet" : `No answer since ${clock(answered)}`;
  say("error", `${since}, trying again`);
  notice(`The server doesn't answer${error.told ? `: ${error.told}` : ""}. What is shown is old.`);
}

async function look() {
  clearTimeout(timer);
  try {
    const told = await ask("figures");
    if (told.error) throw Object.assign(new Error(), { told: told.error });
    failures = 0;
    answered = Date.now() / 1000;
    find("content").classList.remove("is-stale");
    show(told);
    say(document.hidden ? "paused" : "live", document.hidden ? "Paused" : `Live, ${clock(answered)}`);
  } catch (error) {
    failed(error);
    if (error instanceof Refused) return;
  }
  next(Math.min(EVERY * 2 ** failures, LONGEST_PAUSE));
}

function next(pause) {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(look, pause);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(timer);
    say("paused", "Paused while nobody looks");
  } else {
    look();
  }
});

find("moment").addEventListener("input", (event) => series && lookAt(placeToTime(Number(event.target.value))));
for (const chart of charts) {
  chart.svg.addEventListener("pointermove", (event) => series && lookAt(placeToTime(chart.placeAt(event.clientX))));
  chart.svg.addEventListener("pointerleave", () => lookAt(null));
}

find("settings").addEventListener("toggle", async (event) => {
  if (!event.target.open) return;
  try {
    showSettings((await ask("settings")).settings);
  } catch {
    event.target.open = false;
  }
});

look();
