// The parts of the page, from what the server told. Everything goes in as text, nothing as HTML.

import { clock, count, duration, lasting, plural, rate, share } from "./words.js";

const MOST_SERVED = 8, LONG = 5;
const find = (id) => document.getElementById(id);

function make(name, className = "", text = null) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== null) made.textContent = text;
  return made;
}

// What hasn't changed stays untouched: a screen reader is in the middle of it, or a selection.
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Let `list` have one child for each item, in order; those that stay are updated.
function sync(list, items, key, create, update) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, place) => {
    const name = String(key(item));
    const child = old.get(name) ?? create(item);
    old.delete(name);
    child.dataset.key = name;
    update(child, item);
    if (list.children[place] !== child) list.insertBefore(child, list.children[place] ?? null);
  });
  for (const child of old.values()) child.remove();
}

const sum = (counts) => Object.values(counts).reduce((total, one) => total + one, 0);
const readable = (reason) => reason.replaceAll("_", "\u00a0");

export function showSummary(told) {
  const { rates, limits, workers } = told;
  const perSecond = (value) => [rate(value), make("small", "", " /s")];
  find("tile-good").replaceChildren(...perSecond(rates.good));
  put(find("tile-failed"), rates.failed ? `${rate(rates.failed)}/s failed (5xx)` : "none failed");
  find("tile-rejected").replaceChildren(...perSecond(rates.rejected));
  const asked = rates.good + rates.failed + rates.rejected;
  const onlyShadow = limits.some((limit) => limit.mode === "shadow");
  const part = onlyShadow ? "admitted all the same (shadow)" : `${share(rates.rejected, asked)} of what came`;
  put(find("tile-share"), rates.rejected ? part : "nobody");
  put(find("tile-p99"), duration(rates.p99));
  put(find("tile-p50"), rates.p50 === null ? "nothing ended" : `half within ${duration(rates.p50)}`);
  const own = limits[0];
  find("tile-flight").replaceChildren(count(own?.in_flight ?? 0), make("small", "", ` of ${count(own?.limit ?? 0)}`));
  const waiting = own?.queued ? `${count(own.queued)} waiting, ` : "";
  put(find("tile-queued"), `${waiting}${plural(workers.length, "worker", "workers")}`);
}

function measure(name) {
  const made = make("div", `measure is-${name}`);
  const line = make("p");
  line.append(make("span", "name"), make("span", "value"));
  const bar = make("div", `bar${name === "queue" ? " is-queue" : ""}`);
  bar.setAttribute("role", "meter");
  bar.setAttribute("aria-valuemin", "0");
  bar.append(make("i"));
  made.append(line, bar);
  return made;
}

function fill(made, label, value, most) {
  const isFull = most > 0 && value >= most;
  put(made.querySelector(".name"), label);
  const strong = make("strong", "", count(value));
  made.querySelector(".value").replaceChildren(strong, ` of ${count(most)}${isFull ? ", full" : ""}`);
  const bar = made.querySelector(".bar");
  bar.classList.toggle("is-full", isFull);
  bar.setAttribute("aria-label", label);
  bar.setAttribute("aria-valuenow", Math.min(value, most));
  bar.setAttribute("aria-valuemax", most);
  bar.setAttribute("aria-valuetext", `${value} of ${most}`);
  bar.firstChild.style.width = `${most ? Math.min(100, value / most * 100) : 0}%`;
}

function createLimit() {
  const made = make("li");
  const head = make("div", "limit-head");
  head.append(make("h3"), make("span", "tags"));
  const bars = make("div", "limit-bars");
  bars.append(measure("flight"), measure("queue"), make("p", "rejected"));
  made.append(head, make("p", "alarm"), bars, make("p", "small shares"), make("p", "small change"));
  return made;
}

const SCOPES = {
  process: (limit) => limit.workers > 1 ? `one in each of ${count(limit.workers)} workers` : "per worker",
  host: () => "shared by the host",
  cluster: () => "shared by the cluster, here its part",
};

function updateLimit(made, limit) {
  put(made.querySelector("h3"), limit.name);
  const tags = [SCOPES[limit.scope](limit)];
  if (limit.is_learned) tags.push("adaptive");
  const loud = limit.mode === "enforce" ? [] : [`${limit.mode} mode`];
  made.querySelector(".tags").replaceChildren(
    ...[...tags.map((text) => make("span", "tag", text)), ...loud.map((text) => make("span", "tag is-loud", text))]
      .flatMap((tag) => [tag, " "]),
  );
  const alarm = made.querySelector(".alarm");
  alarm.hidden = !limit.alone;
  put(alarm, limit.alone
    ? `The store is down in ${count(limit.alone)} of ${plural(limit.workers, "worker", "workers")}, and each admits ${limit.admits}: ${limit.store_error}`
    : "");
  fill(made.querySelector(".is-flight"), "In flight", limit.in_flight, limit.limit);
  fill(made.querySelector(".is-queue"), "Queue", limit.queued, limit.max_queue);
  const reasons = Object.entries(limit.rejected).sort((one, other) => other[1] - one[1]);
  const total = make("strong", "", count(sum(limit.rejected)));
  const told = limit.mode === "shadow" ? " would have been rejected" : " rejected";
  const why = reasons.map(([reason, times]) => `${readable(reason)}\u00a0${count(times)}`).join(", ");
  made.querySelector(".rejected").replaceChildren(total, told, ...(why ? [make("br"), why] : []));
  const change = limit.changes[0];
  const shares = made.querySelector(".shares"), last = made.querySelector(".change");
  const parts = Object.entries(limit.partitions).map(
    ([name, part]) => `${name} ${count(part.in_flight)} of ${count(part.guaranteed)}`,
  );
  shares.hidden = !parts.length;
  put(shares, `In flight, of what is guaranteed: ${parts.join(", ")}`);
  last.hidden = !change;
  if (change) put(last, `Changed at ${clock(change.time)} from ${change.before} to ${change.after}: ${change.reason}`);
}

export function showLimits(told) {
  sync(find("limits"), told.limits, (limit) => limit.name, createLimit, updateLimit);
}

export function showKilled(told) {
  sync(find("killed"), told.killed, (worker) => `${worker.pid} ${worker.started}`, () => {
    const made = make("li");
    made.append(make("p"), make("p", "small"));
    return made;
  }, (made, worker) => {
    const when = clock(worker.written);
    put(made.firstChild, `Worker ${worker.pid} died at ${when}, with ${worker.requests} in flight.`);
    const served = worker.serving.slice(0, MOST_SERVED);
    const more = Math.max(worker.requests - served.length, 0);
    const told = served.map((one) => `${one.what} (${duration(one.seconds)})`);
    put(made.lastChild, [...told, ...(more ? [`and ${count(more)} more`] : [])].join(", "));
  });
}

function createWorker() {
  const made = make("li");
  const head = make("div", "worker-head");
  head.append(make("h3"), make("p", "small"), make("span", "tags"));
  made.append(head, make("dl", "worker-figures"), make("p", "alarm"), make("ul", "serving"), make("p", "idle"));
  return made;
}

function updateWorker(made, worker, now) {
  const [own] = worker.limits;
  put(made.querySelector("h3"), `Worker ${worker.pid}`);
  const server = worker.server === null ? "" : `${worker.server}${worker.threads === null ? "" : `, ${worker.threads} at once`}, `;
  put(made.querySelector(".small"), `${server}up ${lasting(Math.max(0, now - worker.started))}`);
  made.querySelector(".tags").replaceChildren(...(worker.is_draining ? [make("span", "tag is-loud", "draining")] : []));
  const figures = [
    ["in flight", count(own.in_flight)],
    ["waiting", count(own.queued)],
    ["good", `${rate(worker.rates.good)}/s`],
    ["rejected", `${rate(worker.rates.rejected)}/s`],
    ["p99", duration(worker.rates.p99)],
    ...(worker.queue_age === null ? [] : [["queue age", duration(worker.queue_age)]]),
  ];
  sync(made.querySelector("dl"), figures, ([name]) => name, () => {
    const pair = make("div");
    pair.append(make("dt"), make("dd"));
    return pair;
  }, (pair, [name, value]) => { put(pair.firstChild, name); put(pair.lastChild, value); });
  const alarm = made.querySelector(".alarm");
  alarm.hidden = !worker.silent_for;
  put(alarm, worker.silent_for ? `It has said nothing for ${duration(worker.silent_for)}: it hangs, or was stopped.` : "");
  updateServing(made, worker);
}

function updateServing(made, worker) {
  const list = made.querySelector(".serving");
  const idle = made.querySelector(".idle");
  const served = worker.serving.slice(0, MOST_SERVED);
  list.hidden = !served.length;
  list.setAttribute("aria-label", `What worker ${worker.pid} is serving, the longest first`);
  list.replaceChildren(...served.map((one) => {
    const row = make("li");
    const limits = one.limits.length ? ` (${one.limits.join(", ")})` : "";
    const age = make("span", `age${one.seconds >= LONG ? " is-long" : ""}`, duration(one.seconds));
    row.append(age, make("span", "what mono", `${one.what}${limits}`));
    if (one.thread_id !== null) row.append(make("span", "thread", `thread ${one.thread_id}`));
    return row;
  }));
  const more = Math.max(worker.requests - served.length, 0);
  idle.hidden = served.length > 0 && more === 0;
  put(idle, served.length ? `and ${count(more)} more` : "Serving nothing.");
}

export function showWorkers(told) {
  sync(find("workers"), told.workers, (worker) => `${worker.pid} ${worker.started}`, createWorker,
    (made, worker) => updateWorker(made, worker, told.time));
}

const mean = (values) => values.length ? values.reduce((total, one) => total + one, 0) / values.length : 0;
const highest = (values) => values.length ? Math.max(...values) : null;

export function showMinutes(series) {
  const size = 60 / series.step;
  const minutes = [];
  for (let end = series.limit.length; end > 0; end -= size) {
    const part = (key) => series[key].slice(Math.max(0, end - size), end).filter((value) => value !== null);
    minutes.push([
      clock(series.first + (end - 1) * series.step),
      rate(mean(part("good"))), rate(mean(part("failed"))), rate(mean(part("rejected"))),
      duration(part("p50").length ? mean(part("p50")) : null), duration(highest(part("p99"))),
      count(highest(part("in_flight")) ?? 0), count(part("limit").at(-1) ?? 0),
    ]);
  }
  find("minutes").replaceChildren(...minutes.map((cells) => {
    const row = make("tr");
    row.append(...cells.map((text, place) => {
      const cell = make(place ? "td" : "th", "", text);
      if (!place) cell.scope = "row";
      return cell;
    }));
    return row;
  }));
}

export function showSettings(settings) {
  find("settings-rows").replaceChildren(...settings.map((setting) => {
    const row = make("tr", setting.default ? "" : "is-set");
    const value = make("td");
    value.append(make("code", "", setting.value));
    const key = make("td");
    key.append(make("code", "", setting.key.replace("CONCURRENCY_GUARD_", "")));
    row.append(key, value, make("td", "", setting.default ? "default" : "yes"));
    return row;
  }));
}
