// Lines over the last ten minutes, all with one cursor.

import { clock } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 46, RIGHT = 6, TOP = 8, BOTTOM = 20;
const LONGEST = 600, SHORTEST = 120;

function draw(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent?.append(made);
  return made;
}

function element(name, className, parent) {
  const made = document.createElement(name);
  made.className = className;
  parent?.append(made);
  return made;
}

// The smallest of 1, 2, 4, 5, 10, 20, ... that all values are below.
function ceiling(highest, least) {
  const wanted = Math.max(highest, least);
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1, 2, 4, 5, 10].find((step) => step * power >= wanted * 0.9999) * power;
}

export class Chart {
  // lines: [{ key, name, ink, dashed, area, steps }], format: of a value, with its unit.
  constructor(parent, { title, lines, format, axis, least }) {
    Object.assign(this, { title, lines, format, axis: axis ?? format, least });
    const figure = element("figure", "chart", parent);
    const caption = element("figcaption", "", figure);
    element("h3", "", caption).textContent = title;
    this.values = lines.map((line) => {
      const key = element("span", `key ink-${line.ink}`, caption);
      const swatch = draw("svg", { width: 18, height: 8, "aria-hidden": "true" }, key);
      draw("line", { x1: 1, y1: 4, x2: 17, y2: 4, class: `stroke${line.dashed ? " is-dashed" : ""}` }, swatch);
      key.append(line.name);
      return element("b", "", key);
    });
    this.svg = draw("svg", { class: "plot", role: "img" }, figure);
    new ResizeObserver(() => this.draw()).observe(this.svg);
  }

  show(series, now) {
    this.series = series;
    this.now = now;
    // Ten minutes, or as long as there is anything to show, so that it isn't lost in the corner.
    this.span = Math.min(LONGEST, Math.max(SHORTEST, now - series.first));
    this.draw();
  }

  draw() {
    const width = this.svg.clientWidth, height = this.svg.clientHeight;
    if (!this.series || !width) return;
    const columns = this.lines.map((line) => this.series[line.key]);
    const all = columns.flat().filter((value) => value !== null);
    const top = ceiling(Math.max(0, ...all), this.least);
    this.x = (time) => LEFT + (1 - (this.now - time) / this.span) * (width - LEFT - RIGHT);
    this.y = (value) => TOP + (1 - value / top) * (height - TOP - BOTTOM);
    this.svg.replaceChildren();
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.drawAxes(top, width, height);
    this.lines.forEach((line, number) => this.drawLine(line, columns[number]));
    this.cursor = draw("g", {}, this.svg);
    this.describe(columns);
    this.point(this.pointed ?? null);
  }

  drawAxes(top, width, height) {
    for (const share of [0, 0.5, 1]) {
      const y = Math.round(this.y(top * share)) + 0.5;
      draw("line", { x1: LEFT, x2: width - RIGHT, y1: y, y2: y, class: share ? "grid" : "base" }, this.svg);
      const label = draw("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, this.svg);
      label.textContent = this.axis(top * share);
    }
    const every = [30, 60, 120, 300].find((step) => this.span / step <= (width < 380 ? 3 : 5)) ?? 300;
    for (let time = Math.ceil((this.now - this.span) / every) * every; time <= this.now; time += every) {
      const x = this.x(time);
      if (x < LEFT + 12 || x > width - RIGHT - 12) continue;
      const label = draw("text", { x, y: height - 4, "text-anchor": "middle" }, this.svg);
      label.textContent = clock(time, every < 60);
    }
  }

  drawLine(line, values) {
    const { first, step } = this.series;
    const runs = [];
    let run = null;
    values.forEach((value, place) => {
      if (value === null) { run = null; return; }
      if (!run) runs.push(run = []);
      run.push([this.x(first + place * step), this.y(value)]);
    });
    const bottom = this.y(0);
    for (const points of runs) {
      const path = points.map(([x, y], place) => {
        if (!place) return `M${x.toFixed(1)} ${y.toFixed(1)}`;
        return line.steps ? `H${x.toFixed(1)}V${y.toFixed(1)}` : `L${x.toFixed(1)} ${y.toFixed(1)}`;
      }).join("");
      if (line.area) {
        const close = `L${points.at(-1)[0].toFixed(1)} ${bottom}L${points[0][0].toFixed(1)} ${bottom}Z`;
        draw("path", { d: path + close, class: `area ink-${line.ink}` }, this.svg);
      }
      // A lone point is a line of no length, with round ends.
      const d = points.length === 1 ? `${path}h0.01` : path;
      draw("path", { d, class: `stroke ink-${line.ink}${line.dashed ? " is-dashed" : ""}` }, this.svg);
    }
  }

  // Show the values of one place in the series; of the last one where it is null.
  point(place) {
    this.pointed = place;
    if (!this.series || !this.cursor) return;
    const last = this.series.limit.length - 1;
    const at = place ?? last;
    this.cursor.replaceChildren();
    const x = this.x(this.series.first + at * this.series.step);
    if (place !== null) {
      draw("line", { x1: x, x2: x, y1: TOP, y2: this.y(0), class: "cursor" }, this.cursor);
    }
    this.lines.forEach((line, number) => {
      const value = this.series[line.key][at] ?? null;
      this.values[number].textContent = value === null ? "–" : this.format(value);
      if (place !== null && value !== null) {
        draw("circle", { cx: x, cy: this.y(value), r: 3.5, class: `point ink-${line.ink}` }, this.cursor);
      }
    });
  }

  // Which place in the series a pointer is at.
  placeAt(clientX) {
    const box = this.svg.getBoundingClientRect();
    const plotted = box.width - LEFT - RIGHT;
    const time = this.now - (1 - (clientX - box.left - LEFT) / plotted) * this.span;
    const last = this.series.limit.length - 1;
    return Math.min(last, Math.max(0, Math.round((time - this.series.first) / this.series.step)));
  }

  describe(columns) {
    const parts = this.lines.map((line, number) => {
      const known = columns[number].filter((value) => value !== null);
      if (!known.length) return `${line.name}: nothing`;
      const [low, high] = [Math.min(...known), Math.max(...known)].map(this.format);
      return `${line.name}: from ${low} to ${high}, last ${this.format(known.at(-1))}`;
    });
    this.svg.setAttribute("aria-label", `${this.title} over the last ten minutes. ${parts.join(". ")}.`);
  }
}
