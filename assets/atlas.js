// The explorer's map. plotly draws the points with WebGL; everything that follows a hand is here:
// while the map is moved, what is drawn is moved with it, and drawn anew when the hand rests, so
// that a slow machine moves as smoothly as a fast one. Pictures, rings, paths and lassos lie on a
// canvas above.
const root = element.querySelector(".ls-atlas");
const OVERSCAN = 1.5;
const REACH = 12;
const SHEET = 56;
const GALLERY = 60;
const FAST = 12;
const RINGS = 3000;
// Events that lead to other tabs.
const DOORS = { swap: "open_swap", attributes: "open_attributes", interpolate: "open_interpolate" };

root.innerHTML = `
  <div class="ls-bar">
    <div class="ls-segments" role="group" aria-label="What the pointer does">
      ${[["move", "Move"], ["lasso", "Lasso"], ["box", "Box"]].map(([key, text]) => `<button type="button" data-tool="${key}">${text}</button>`).join("")}
    </div>
    <div class="ls-segments" role="group" aria-label="Zoom">
      <button type="button" data-zoom="1.5" aria-label="Zoom in">+</button><button type="button" data-zoom="0.667" aria-label="Zoom out">−</button><button type="button" data-zoom="0">Fit</button>
    </div>
    <div class="ls-segments"><button type="button" data-sight title="Select all points in sight that the colours below do not hide">Select all</button></div>
    <div class="ls-segments"><button type="button" data-pictures aria-pressed="true">Pictures</button><button type="button" data-png>PNG</button></div>
    <input type="search" class="ls-find" placeholder="Find a file name" aria-label="Find a file name">
  </div>
  <div class="ls-map-frame" tabindex="0" role="application" aria-label="Map of the pictures: arrow keys move it, plus and minus zoom, 0 shows all, Enter opens the middle">
    <div class="ls-map-layer"><div class="ls-map-plot"></div></div>
    <span class="ls-axis ls-axis-x"></span><span class="ls-axis ls-axis-y"></span>
    <canvas class="ls-map-over"></canvas>
    <div class="ls-tip" hidden><img alt=""><div><strong></strong><span></span></div></div>
    <p class="ls-map-words">Opening the map…</p>
  </div>
  <div class="ls-colours" role="group" aria-label="Colours; a click hides or shows"></div>
  <div class="ls-two" hidden>
    <span class="ls-count"></span>
    <button type="button" data-group="shown">Call them “with”</button>
    <button type="button" data-group="absent">Call them “without”</button>
    <button type="button" data-clear>Clear</button>
    <form class="ls-make" hidden><input type="text" maxlength="40" placeholder="What is it, such as Hat" aria-label="Name of the slider or label"><button type="submit" value="slider" title="A slider that moves a picture from “without” to “with”">Make a slider</button><button type="submit" value="mark" title="Mark these pictures in their data set, to train on">Save as labels</button></form>
  </div>
  <div class="ls-card" hidden>
    <img alt="">
    <div><strong></strong><p></p><div class="ls-opens"></div></div>
  </div>
  <h3 class="ls-title ls-gallery-title"></h3>
  <div class="ls-gallery"></div>`;

const find = (selector) => root.querySelector(selector);
const frame = find(".ls-map-frame");
const layer = find(".ls-map-layer");
const plot = find(".ls-map-plot");
const over = find(".ls-map-over");
const tip = find(".ls-tip");
const pen = over.getContext("2d");

let map = null; // What the server said, with points and codes as arrays.
let view = null; // Middle in the map's units, and pixels to a unit.
let drawn = null; // The view that plotly drew.
let tool = "move";
let pictures = true;
let hidden = new Set();
let index = null;
let selected = [];
let groups = { shown: [], absent: [] };
let chosen = null; // {row} or {x, y, rest}, with what belongs to it.
let hovered = -1;
let ringed = -1;
let walk = null;
let from = -1; // A path begins here and waits for its end.
let shape = [];
let gesture = null;
let resting = 0;
let cost = 100;
let turn = 0;
let frames = 0;
let touched = false;
const thumbs = new Map();
const large = new Map();
const wanted = new Set();

const unpack = (text, kind) => new kind(Uint8Array.from(atob(text), (one) => one.charCodeAt(0)).buffer);
const style = (name) => getComputedStyle(root).getPropertyValue(name).trim();
const flat = () => map && map.dimensions === 2;
const shownRow = (row) => !hidden.has(map.codes[row]);
const colourOf = (row) => (map.codes[row] < 0 ? map.colour.unknown : map.colour.colours[map.codes[row]]);

async function ask(name, data) {
  const token = map.token;
  const answer = await server[name]({ token, ...data });
  if (!map || token !== map.token) return null;
  if (!answer || answer.error) {
    if (answer && answer.error.includes("too long ago")) trigger("refresh", {});
    else say(answer ? answer.error : "The map did not answer; try again.");
    return null;
  }
  return answer;
}

function say(words) {
  find(".ls-map-words").textContent = words;
  find(".ls-map-words").hidden = !words;
}

// Where things are.

const size = () => [frame.clientWidth, frame.clientHeight];
function onScreen(x, y) {
  const [width, height] = size();
  return [width / 2 + (x - view.x) * view.scale, height / 2 - (y - view.y) * view.scale];
}
function onMap(left, top) {
  const [width, height] = size();
  return [view.x + (left - width / 2) / view.scale, view.y - (top - height / 2) / view.scale];
}
const placed = (row) => onScreen(map.points[2 * row], map.points[2 * row + 1]);

function whole() {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let row = 0; row < map.count; row++) {
    left = Math.min(left, map.points[2 * row]);
    right = Math.max(right, map.points[2 * row]);
    low = Math.min(low, map.points[2 * row + 1]);
    high = Math.max(high, map.points[2 * row + 1]);
  }
  const [width, height] = size();
  const across = Math.max(right - left, 1e-6);
  const up = Math.max(high - low, 1e-6);
  // Room on the left for the axis, and all around for the pictures.
  const scale = Math.max(1e-9, Math.min((width - 88) / across, (height - 72) / up));
  return { x: (left + right) / 2 - 12 / scale, y: (low + high) / 2 - 4 / scale, scale };
}

// A grid of cells, so that the nearest point is found among few.
function makeIndex() {
  const all = whole();
  const [width, height] = size();
  const cells = Math.max(1, Math.min(400, Math.round(Math.sqrt(map.count / 2))));
  const left = all.x - width / 2 / all.scale;
  const low = all.y - height / 2 / all.scale;
  const cell = Math.max(width, height) / all.scale / cells;
  const of = (value, start) => Math.min(cells - 1, Math.max(0, Math.floor((value - start) / cell)));
  const starts = new Int32Array(cells * cells + 1);
  const place = new Int32Array(map.count);
  for (let row = 0; row < map.count; row++) {
    place[row] = of(map.points[2 * row + 1], low) * cells + of(map.points[2 * row], left);
    starts[place[row] + 1]++;
  }
  for (let at = 0; at < cells * cells; at++) starts[at + 1] += starts[at];
  const next = starts.slice();
  const rows = new Int32Array(map.count);
  for (let row = 0; row < map.count; row++) rows[next[place[row]]++] = row;
  index = { cells, left, low, of, starts, rows };
}

function* within(left, top, right, bottom) {
  const [x0, y1] = onMap(left, top);
  const [x1, y0] = onMap(right, bottom);
  for (let line = index.of(y0, index.low); line <= index.of(y1, index.low); line++) {
    for (let column = index.of(x0, index.left); column <= index.of(x1, index.left); column++) {
      const cell = line * index.cells + column;
      for (let at = index.starts[cell]; at < index.starts[cell + 1]; at++) {
        const row = index.rows[at];
        const [x, y] = [map.points[2 * row], map.points[2 * row + 1]];
        if (x >= x0 && x <= x1 && y >= y0 && y <= y1 && shownRow(row)) yield row;
      }
    }
  }
}

function pointAt(left, top) {
  let [best, least] = [-1, REACH];
  for (const row of within(left - REACH, top - REACH, left + REACH, top + REACH)) {
    const [x, y] = placed(row);
    const far = Math.hypot(x - left, y - top);
    if (far < least) [best, least] = [row, far];
  }
  // A picture is larger than its point.
  for (const { row, x, y, side } of tiles) {
    if (best < 0 && Math.abs(x - left) <= side / 2 && Math.abs(y - top) <= side / 2) best = row;
  }
  return best;
}

// Drawing the points.

let loading = null;
function plotly() {
  if (window.Plotly) return Promise.resolve();
  loading = loading || new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL(map.script, document.baseURI).href;
    script.onload = resolve;
    script.onerror = () => reject(new Error("plotly"));
    document.head.append(script);
  });
  return loading;
}

function traces() {
  const names = [...map.colour.values.keys()];
  if (map.codes.includes(-1)) names.unshift(-1);
  const width = map.dimensions;
  const marker = map.count > 20000 ? 3 : map.count > 3000 ? 4.5 : 7;
  return names.map((code) => {
    const rows = map.rowsOf.get(code) || [];
    const axes = { x: new Float32Array(rows.length), y: new Float32Array(rows.length), z: new Float32Array(rows.length) };
    ["x", "y", "z"].slice(0, width).forEach((axis, number) => {
      for (let at = 0; at < rows.length; at++) axes[axis][at] = map.points[width * rows[at] + number];
    });
    if (width === 2) delete axes.z;
    return {
      type: width === 2 ? "scattergl" : "scatter3d",
      mode: "markers",
      ...axes,
      visible: !hidden.has(code),
      marker: { size: width === 2 ? marker : 3, color: code < 0 ? map.colour.unknown : map.colour.colours[code], opacity: 0.85, line: { width: 0 } },
      selectedpoints: selected.length && width === 2 ? rows.map((row, at) => (chosenSet.has(row) ? at : -1)).filter((at) => at >= 0) : null,
      unselected: { marker: { opacity: 0.15 } },
      hoverinfo: "none",
    };
  });
}
let chosenSet = new Set();

// In space: one's own photograph, what is chosen with its neighbours, and a path.
function marks3d() {
  const at = (row) => [0, 1, 2].map((axis) => map.points[3 * row + axis]);
  const made = [];
  const add = (points, colour, rest) => made.push({
    type: "scatter3d", mode: "markers", hoverinfo: "none",
    x: points.map((p) => p[0]), y: points.map((p) => p[1]), z: points.map((p) => p[2]), ...rest,
    marker: { color: colour, size: 7, symbol: "circle-open", line: { width: 3, color: colour }, ...(rest || {}).marker },
  });
  const [accent, warn] = [style("--ls-accent"), style("--ls-warn")];
  if (map.own) add([map.own.point], warn, { mode: "markers+text", text: [map.own.name], textfont: { color: style("--ls-text") }, marker: { symbol: "diamond", size: 8 } });
  if (walk) add(walk.points, accent, { mode: "lines+markers", line: { color: accent, width: 4 }, marker: { symbol: "circle", size: 4 } });
  if (chosen && "row" in chosen) {
    add([at(chosen.row)], accent, { marker: { size: 11 } });
    if (chosen.rows) add(chosen.rows.map(at), accent);
  }
  if (from >= 0) add([at(from)], warn, { marker: { size: 13 } });
  return made;
}

function ranges() {
  const [width, height] = size().map((side) => side * OVERSCAN);
  return {
    x: [view.x - width / 2 / view.scale, view.x + width / 2 / view.scale],
    y: [view.y - height / 2 / view.scale, view.y + height / 2 / view.scale],
  };
}

function layout() {
  const [width, height] = size();
  const quiet = style("--ls-quiet");
  const bare = { visible: false, fixedrange: true };
  const common = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
    margin: { l: 0, r: 0, t: 0, b: 0 }, dragmode: false, hovermode: "closest",
  };
  if (flat()) {
    const range = ranges();
    return {
      ...common, width: width * OVERSCAN, height: height * OVERSCAN,
      xaxis: { ...bare, range: range.x }, yaxis: { ...bare, range: range.y },
    };
  }
  const axis = (number) => ({
    title: { text: map.axes[number] }, color: quiet, gridcolor: style("--ls-line"), showbackground: false, showticklabels: map.flat,
  });
  return {
    ...common, width, height, dragmode: "orbit", uirevision: map.token,
    scene: { xaxis: axis(0), yaxis: axis(1), zaxis: axis(2), aspectmode: map.flat ? "data" : "cube" },
  };
}

async function drawPoints() {
  const began = performance.now();
  await Plotly.react(plot, [...traces(), ...(flat() ? [] : marks3d())], layout(), { displayModeBar: false, scrollZoom: !flat(), responsive: false });
  cost = performance.now() - began;
  drawn = flat() ? { ...view } : null;
  follow();
}

// Drawing what lies above, and moving what lies below.

let tiles = [];
let picked = "";
function follow() {
  if (!frames) frames = requestAnimationFrame(paintFrame);
}

function paintFrame() {
  frames = 0;
  if (!map) return;
  const [width, height] = size();
  const ratio = window.devicePixelRatio || 1;
  if (over.width !== Math.round(width * ratio)) over.width = Math.round(width * ratio);
  if (over.height !== Math.round(height * ratio)) over.height = Math.round(height * ratio);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  if (!flat() || !drawn) {
    layer.style.transform = "none";
    return;
  }
  const scale = view.scale / drawn.scale;
  const [x, y] = [(drawn.x - view.x) * view.scale, -(drawn.y - view.y) * view.scale];
  layer.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
  drawTiles(width, height);
  drawMarks();
  root.dataset.frames = Number(root.dataset.frames || 0) + 1;
}

function pick(width, height) {
  // One picture to a cell: all of them where few points are in sight, some where there are many.
  const near = [...within(0, 0, width, height)];
  const side = near.length <= 150 ? 46 : 34;
  const cell = near.length <= 150 ? 48 : 92;
  const taken = new Map();
  const made = [];
  for (const row of near) {
    const [x, y] = placed(row);
    const [column, line_] = [Math.floor(x / cell), Math.floor(y / cell)];
    if (taken.has(`${column},${line_}`)) continue;
    let free = true;
    for (let at = 0; at < 9 && free; at++) {
      const other = taken.get(`${column - 1 + (at % 3)},${line_ - 1 + Math.floor(at / 3)}`);
      free = !other || Math.abs(other.x - x) > side + 6 || Math.abs(other.y - y) > side + 6;
    }
    if (!free) continue;
    taken.set(`${column},${line_}`, { x, y });
    made.push({ row, x, y, side });
  }
  return made;
}

function drawTiles(width, height) {
  if (!pictures) {
    [tiles, picked] = [[], ""];
    return;
  }
  const now = [map.token, view.x, view.y, view.scale, width, height, ...hidden].join();
  if (now !== picked) {
    // While a hand moves the map, the pictures that are there stay.
    const moving = gesture || resting;
    tiles = moving ? tiles.map(({ row, side }) => ({ row, side, x: placed(row)[0], y: placed(row)[1] })) : pick(width, height);
    picked = moving ? "" : now;
  }
  for (const { row, x, y, side } of tiles) {
    const there = thumbs.get(row);
    if (!there) {
      wanted.add(row);
      continue;
    }
    pen.fillStyle = colourOf(row);
    pen.fillRect(x - side / 2 - 2, y - side / 2 - 2, side + 4, side + 4);
    pen.drawImage(there.image, there.left, there.top, SHEET, SHEET, x - side / 2, y - side / 2, side, side);
  }
  if (wanted.size) fetchThumbs();
}

let fetching = false;
async function fetchThumbs() {
  if (fetching) return;
  fetching = true;
  while (wanted.size && map) {
    const rows = [...wanted].slice(0, 150);
    rows.forEach((row) => wanted.delete(row));
    if (!(await load(rows))) break;
    follow();
  }
  fetching = false;
}

async function load(rows) {
  const missing = rows.filter((row) => !thumbs.has(row));
  if (!missing.length) return true;
  const answer = await ask("look", { rows: missing, size: SHEET });
  if (!answer) return false;
  const image = await decoded(answer.src);
  missing.forEach((row, at) => {
    const [left, top] = [(at % answer.columns) * SHEET, Math.floor(at / answer.columns) * SHEET];
    thumbs.set(row, { image, left, top, name: answer.names[at] });
  });
  return true;
}

async function decoded(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
}

function ring(row, colour, radius = 9) {
  const [x, y] = placed(row);
  pen.beginPath();
  pen.arc(x, y, radius, 0, 7);
  pen.lineWidth = 4;
  pen.strokeStyle = style("--ls-card");
  pen.stroke();
  pen.lineWidth = 2;
  pen.strokeStyle = colour;
  pen.stroke();
}

function line(from_, to, weight) {
  pen.lineWidth = weight;
  pen.beginPath();
  pen.moveTo(...from_);
  pen.lineTo(...to);
  pen.stroke();
}

function drawMarks() {
  const accent = style("--ls-accent");
  const warn = style("--ls-warn");
  groups.shown.slice(0, RINGS).forEach((row) => ring(row, accent, 5));
  groups.absent.slice(0, RINGS).forEach((row) => ring(row, warn, 5));
  if (walk) {
    pen.strokeStyle = accent;
    const points = walk.points.map(([x, y]) => onScreen(x, y));
    points.slice(1).forEach((point, at) => line(points[at], point, 2.5));
    pen.fillStyle = accent;
    points.forEach(([x, y]) => {
      pen.beginPath();
      pen.arc(x, y, 4, 0, 7);
      pen.fill();
    });
  }
  if (chosen) {
    pen.strokeStyle = accent;
    const start = "row" in chosen ? placed(chosen.row) : onScreen(chosen.x, chosen.y);
    (chosen.rows || []).forEach((row, at) => {
      line(start, placed(row), chosen.weights ? 1 + 5 * chosen.weights[at] : 1);
      ring(row, accent, chosen.weights ? 7 : 5);
    });
    if ("row" in chosen) ring(chosen.row, accent, 11);
    else {
      line([start[0] - 8, start[1]], [start[0] + 8, start[1]], 3);
      line([start[0], start[1] - 8], [start[0], start[1] + 8], 3);
    }
  }
  if (map.own && map.own.point.length === 2) drawOwn(warn);
  if (from >= 0) ring(from, warn, 13);
  if (ringed >= 0) ring(ringed, warn, 12);
  if (hovered >= 0) ring(hovered, style("--ls-text"), 8);
  if (frame.matches(":focus-visible")) {
    // Where Enter opens.
    const [x, y] = middle();
    pen.strokeStyle = style("--ls-text");
    line([x - 12, y], [x + 12, y], 1.5);
    line([x, y - 12], [x, y + 12], 1.5);
  }
  if (shape.length > 1) {
    pen.beginPath();
    shape.forEach(([x, y], at) => (at ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.closePath();
    pen.globalAlpha = 0.15;
    pen.fillStyle = accent;
    pen.fill();
    pen.globalAlpha = 1;
    pen.strokeStyle = accent;
    pen.lineWidth = 1.5;
    pen.stroke();
  }
}

let ownImage = null;
function drawOwn(colour) {
  const [x, y] = onScreen(...map.own.point);
  pen.strokeStyle = colour;
  map.own.rows.slice(0, 5).forEach((row) => line([x, y], placed(row), 1.5));
  pen.fillStyle = colour;
  pen.fillRect(x - 31, y - 31, 62, 62);
  if (ownImage) pen.drawImage(ownImage, x - 28, y - 28, 56, 56);
}

// Moving.

function changed() {
  touched = true;
  clearTimeout(resting);
  if (cost < FAST) {
    resting = 0;
    redraw();
    return;
  }
  // What was drawn beyond the frame is used up: draw anew now and then even while a hand moves.
  const scale = view.scale / drawn.scale;
  const [width, height] = size();
  const spent = Math.abs((drawn.x - view.x) * view.scale) > width / 3 || Math.abs((drawn.y - view.y) * view.scale) > height / 3 || scale < 0.6 || scale > 4;
  resting = setTimeout(redraw, spent && !gesture ? 90 : 180);
  follow();
}

async function redraw() {
  resting = 0;
  if (!map || !flat()) return;
  const goal = { ...view };
  const range = ranges();
  const began = performance.now();
  await Plotly.relayout(plot, { "xaxis.range": range.x, "yaxis.range": range.y });
  cost = performance.now() - began;
  drawn = goal;
  follow();
}

function zoom(factor, left, top) {
  const [x, y] = onMap(left, top);
  const all = whole().scale;
  const scale = Math.min(all * 400, Math.max(all / 4, view.scale * factor));
  const ratio = view.scale / scale;
  view = { x: x + (view.x - x) * ratio, y: y + (view.y - y) * ratio, scale };
  changed();
}

function middle() {
  return size().map((side) => side / 2);
}

const place = (event) => {
  const box = frame.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

frame.addEventListener("wheel", (event) => {
  if (!flat()) return;
  event.preventDefault();
  zoom(Math.exp(-event.deltaY / 400), ...place(event));
}, { passive: false });

const fingers = new Map();
over.addEventListener("pointerdown", (event) => {
  if (!flat() || event.button) return;
  frame.focus({ preventScroll: true });
  over.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, place(event));
  gesture = { start: place(event), last: place(event), moved: false };
  shape = [];
  hideTip();
});
over.addEventListener("pointermove", (event) => {
  if (!flat()) return;
  const here = place(event);
  if (!gesture) {
    // A finger covers what it points at; a tap opens the point instead.
    if (event.pointerType !== "touch") hover(pointAt(...here), here);
    return;
  }
  if (fingers.size === 2) {
    pinch(event.pointerId, here);
    return;
  }
  fingers.set(event.pointerId, here);
  const [x, y] = here;
  gesture.moved = gesture.moved || Math.hypot(x - gesture.start[0], y - gesture.start[1]) > 4;
  if (!gesture.moved) return;
  if (tool === "move") {
    view = { ...view, x: view.x - (x - gesture.last[0]) / view.scale, y: view.y + (y - gesture.last[1]) / view.scale };
    gesture.last = here;
    changed();
  } else {
    const [a, b] = gesture.start;
    if (tool === "box") shape = [[a, b], [x, b], [x, y], [a, y]];
    else shape.push(here);
    follow();
  }
});
over.addEventListener("pointerup", (event) => {
  fingers.delete(event.pointerId);
  if (!gesture || fingers.size) return;
  const { moved } = gesture;
  gesture = null;
  if (!moved) click(place(event));
  else if (shape.length > 2) select(inside(shape));
  shape = [];
  follow();
});
over.addEventListener("pointercancel", (event) => {
  fingers.delete(event.pointerId);
  gesture = null;
  shape = [];
  follow();
});
over.addEventListener("pointerleave", () => {
  if (!gesture) hover(-1);
});

function pinch(finger, here) {
  const other = [...fingers.entries()].find(([key]) => key !== finger)[1];
  const before = fingers.get(finger);
  const far = (a, b) => Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
  fingers.set(finger, here);
  gesture.moved = true;
  zoom(far(here, other) / far(before, other), (here[0] + other[0]) / 2, (here[1] + other[1]) / 2);
}

frame.addEventListener("keydown", (event) => {
  if (!flat() || event.target !== frame) return;
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  const factor = { "+": 1.25, "=": 1.25, "-": 0.8 }[event.key];
  if (!steps && !factor && !["0", "Enter", "Escape"].includes(event.key)) return;
  event.preventDefault();
  if (steps) {
    view = { ...view, x: view.x + (steps[0] * 60) / view.scale, y: view.y + (steps[1] * 60) / view.scale };
    changed();
  } else if (factor) zoom(factor, ...middle());
  else if (event.key === "0") fit();
  else if (event.key === "Enter") click(middle());
  else dismiss();
});

frame.addEventListener("focus", follow);
frame.addEventListener("blur", follow);

function fit() {
  view = whole();
  changed();
  touched = false;
}

function inside(polygon) {
  const [xs, ys] = [polygon.map(([x]) => x), polygon.map(([, y]) => y)];
  const rows = [];
  for (const row of within(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys))) {
    const [x, y] = placed(row);
    let odd = false;
    for (let at = 0, before = polygon.length - 1; at < polygon.length; before = at++) {
      const [[x0, y0], [x1, y1]] = [polygon[at], polygon[before]];
      if (y0 > y !== y1 > y && x < ((x1 - x0) * (y - y0)) / (y1 - y0) + x0) odd = !odd;
    }
    if (odd) rows.push(row);
  }
  return rows.sort((a, b) => a - b);
}

// Pointing, choosing, selecting.

function hideTip() {
  tip.hidden = true;
}

async function hover(row, here) {
  if (row === hovered) {
    if (row >= 0) moveTip(here);
    return;
  }
  hovered = row;
  follow();
  over.style.cursor = row >= 0 || tool !== "move" ? (tool === "move" ? "pointer" : "crosshair") : "grab";
  if (row < 0) {
    hideTip();
    return;
  }
  const began = performance.now();
  const there = await info(row);
  if (!there || hovered !== row) return;
  const image = tip.querySelector("img");
  image.src = there.src;
  tip.querySelector("strong").textContent = there.names[0];
  tip.querySelector("span").textContent = listed(there.lines, 5);
  tip.hidden = false;
  moveTip(here);
  await image.decode();
  root.dataset.hover = (performance.now() - began).toFixed(1);
}

function moveTip([left, top]) {
  // Beside the pointer, and inside the frame.
  const [width, height] = size();
  const [wide, tall] = [tip.offsetWidth, tip.offsetHeight];
  tip.style.left = `${left + 16 + wide < width ? left + 16 : Math.max(0, left - 16 - wide)}px`;
  tip.style.top = `${Math.max(0, Math.min(top + 16, height - tall - 4))}px`;
}

function listed(lines, most) {
  const more = lines.length - most;
  return lines.slice(0, most).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

async function info(row) {
  if (!large.has(row)) {
    const answer = await ask("point", { row });
    if (!answer) return null;
    large.set(row, answer);
    if (large.size > 400) large.delete(large.keys().next().value);
  }
  return large.get(row);
}

function click(here) {
  const row = flat() ? pointAt(...here) : -1;
  if (row >= 0) choose(row);
  else if (here) openSpot(...onMap(...here));
}

async function choose(row) {
  if (from >= 0 && from !== row) {
    walkTo(row);
    return;
  }
  const mine = ++turn;
  walk = null;
  const answer = await ask("point", { row, near: true });
  if (!answer || mine !== turn) return;
  chosen = { row, rows: answer.rows, name: answer.names[0] };
  card(answer.src, answer.names[0], listed(answer.lines, 12), { row });
  gallery(`Nearest to ${answer.names[0]}`, answer.rows);
  mark();
}

async function openSpot(x, y) {
  const mine = ++turn;
  walk = null;
  from = -1;
  const rest = chosen && "row" in chosen && map.part ? chosen.row : -1;
  const answer = await ask("spot", { x, y, rest });
  if (!answer || mine !== turn) return;
  chosen = { x, y, rows: answer.rows, weights: answer.weights, rest: answer.rest };
  const shares = answer.weights.map((share) => `${Math.round(100 * share)} %`);
  const mixed = answer.rows.length
    ? `Mixed from the points that the lines lead to (${shares.join(", ")}).`
    : "The inverse of PCA: the mean picture, moved along the two components that are drawn.";
  const others = answer.restName ? ` Everything but the ${map.part} is ${answer.restName}'s.` : "";
  card(answer.picture, "What lives here", mixed + others, { x, y, rest: answer.rest });
  say("");
  gallery(answer.rows.length ? "Mixed from" : "", answer.rows);
  mark();
}

async function walkTo(row) {
  const [start, end] = [from, row];
  const mine = ++turn;
  from = -1;
  say("");
  const answer = await ask("path", { start, end });
  if (!answer || mine !== turn) return;
  walk = { start, end, ...answer };
  chosen = { row: end };
  const names = await Promise.all([info(start), info(end)]);
  if (!names[0] || !names[1]) return;
  card(answer.pictures[Math.floor(answer.pictures.length / 2)], `${names[0].names[0]} to ${names[1].names[0]}`,
    "A straight line between both in the latent space; on the map it may bend.", { start, end });
  strip(answer.pictures);
  mark();
}

function dismiss() {
  turn++;
  chosen = walk = null;
  from = -1;
  shape = [];
  find(".ls-card").hidden = true;
  say("");
  if (selected.length) select([]);
  else gallery("", []);
  mark();
}

// What is chosen lies above a flat map, and among the points of one in space.
function mark() {
  if (flat()) follow();
  else drawPoints();
}

function card(source, title, words, what) {
  const box = find(".ls-card");
  box.hidden = false;
  box.querySelector("img").src = source;
  box.querySelector("strong").textContent = title;
  box.querySelector("p").textContent = words;
  const buttons = map.opens.map(([tab, name]) => button(`Open in ${name}`, () => trigger(DOORS[tab], { token: map.token, ...what })));
  if ("row" in what) {
    buttons.push(button("Path from here", () => {
      from = what.row;
      say("Now click the point where the path ends.");
      mark();
    }));
  }
  if ("start" in what) buttons.splice(0, buttons.length, ...map.opens.filter(([tab]) => tab === "interpolate").map(([tab, name]) => button(`Open in ${name}`, () => trigger(DOORS[tab], { token: map.token, ...what }))));
  box.querySelector(".ls-opens").replaceChildren(...buttons);
  root.dataset.card = title;
}

function button(text, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", act);
  return made;
}

function select(rows) {
  selected = rows;
  chosenSet = new Set(rows);
  if (flat()) drawPoints();
  gallery(rows.length ? `${rows.length.toLocaleString()} selected${rows.length > GALLERY ? `, ${GALLERY} of them shown` : ""}` : "", spread(rows, GALLERY));
  arrange();
}

function spread(rows, most) {
  if (rows.length <= most) return rows;
  return Array.from({ length: most }, (_, at) => rows[Math.floor((at * rows.length) / most)]);
}

// The row of pictures below the map.

async function gallery(title, rows) {
  const box = find(".ls-gallery");
  find(".ls-gallery-title").textContent = title;
  const mine = (gallery.turn = (gallery.turn || 0) + 1);
  if (!rows.length) {
    box.replaceChildren();
    return;
  }
  if (!(await load(rows)) || mine !== gallery.turn) return;
  box.replaceChildren(...rows.map((row) => {
    const there = thumbs.get(row);
    const made = document.createElement("button");
    made.type = "button";
    made.title = there.name;
    made.setAttribute("aria-label", there.name);
    made.style.borderColor = colourOf(row);
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = SHEET;
    canvas.getContext("2d").drawImage(there.image, there.left, there.top, SHEET, SHEET, 0, 0, SHEET, SHEET);
    made.append(canvas);
    const mark = (on) => () => {
      ringed = on ? row : -1;
      follow();
    };
    made.addEventListener("pointerenter", mark(true));
    made.addEventListener("pointerleave", mark(false));
    made.addEventListener("focus", mark(true));
    made.addEventListener("blur", mark(false));
    made.addEventListener("click", () => {
      ringed = -1;
      if (flat()) show(row);
      choose(row);
    });
    return made;
  }));
}

function strip(sources) {
  gallery.turn = (gallery.turn || 0) + 1;
  find(".ls-gallery-title").textContent = "Decoded along the way";
  find(".ls-gallery").replaceChildren(...sources.map((source, at) => {
    const made = document.createElement("button");
    made.type = "button";
    made.setAttribute("aria-label", `Picture ${at + 1} of the path`);
    const image = new Image();
    image.src = source;
    image.alt = "";
    made.append(image);
    made.addEventListener("click", () => {
      find(".ls-card img").src = source;
    });
    return made;
  }));
}

function bring([x, y]) {
  const [left, top] = onScreen(x, y);
  const [width, height] = size();
  if (left < 20 || top < 20 || left > width - 20 || top > height - 20) {
    view = { ...view, x, y };
    changed();
  }
}
const show = (row) => bring([map.points[2 * row], map.points[2 * row + 1]]);

let typing = 0;
find(".ls-find").addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(async () => {
    const text = event.target.value.trim();
    if (!map || !text) {
      select([]);
      return;
    }
    const answer = await ask("find", { text });
    if (!answer) return;
    const count = answer.rows.length;
    select(answer.rows);
    find(".ls-gallery-title").textContent = count
      ? `${count.toLocaleString()} named like “${text}”${count > GALLERY ? `, ${GALLERY} of them shown` : ""}`
      : `No file is named like “${text}”`;
  }, 250);
});

// Groups.

function arrange() {
  for (const one of root.querySelectorAll("[data-tool]")) one.setAttribute("aria-pressed", one.dataset.tool === tool);
  for (const one of root.querySelectorAll("[data-tool], [data-zoom], [data-pictures], [data-sight]")) {
    one.disabled = !flat();
    if (!flat()) one.title = "On a flat map only: choose 2-D";
    else if (!("sight" in one.dataset)) one.removeAttribute("title");
  }
  over.style.pointerEvents = flat() ? "auto" : "none";
  over.style.cursor = tool === "move" ? "grab" : "crosshair";
  const both = groups.shown.length && groups.absent.length;
  find(".ls-two").hidden = !selected.length && !groups.shown.length && !groups.absent.length;
  const words = [];
  if (selected.length) words.push(`${selected.length.toLocaleString()} selected`);
  if (groups.shown.length) words.push(`with: ${groups.shown.length.toLocaleString()}`);
  if (groups.absent.length) words.push(`without: ${groups.absent.length.toLocaleString()}`);
  find(".ls-count").textContent = words.join(" · ");
  for (const one of root.querySelectorAll("[data-group]")) one.disabled = !selected.length;
  find(".ls-make").hidden = !both;
}

root.addEventListener("click", (event) => {
  const data = event.target.dataset || {};
  if ("tool" in data) tool = data.tool;
  if ("zoom" in data && flat()) {
    if (Number(data.zoom)) zoom(Number(data.zoom), ...middle());
    else fit();
  }
  if ("sight" in data && flat()) select([...within(0, 0, ...size())].sort((a, b) => a - b));
  if ("pictures" in data) {
    pictures = !pictures;
    event.target.setAttribute("aria-pressed", pictures);
    follow();
  }
  if ("png" in data && map) savePng();
  if ("group" in data) {
    groups = { ...groups, [data.group]: selected };
    select([]);
  }
  if ("clear" in data) {
    groups = { shown: [], absent: [] };
    select([]);
  }
  arrange();
  follow();
});
find(".ls-make").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = find(".ls-make input").value;
  const use = event.submitter ? event.submitter.value : "slider";
  trigger(use, { token: map.token, name, shown: groups.shown, absent: groups.absent });
});

// The legend.

function drawLegend() {
  const codes = [...map.colour.values.keys(), ...(map.codes.includes(-1) ? [-1] : [])];
  find(".ls-colours").replaceChildren(...codes.map((code) => {
    const made = document.createElement("button");
    made.type = "button";
    const count = (map.rowsOf.get(code) || []).length;
    made.innerHTML = "<i></i><span></span><small></small>";
    made.querySelector("i").style.background = code < 0 ? map.colour.unknown : map.colour.colours[code];
    made.querySelector("span").textContent = code < 0 ? "Unknown" : map.colour.values[code];
    made.querySelector("small").textContent = `(${count.toLocaleString()})`;
    made.setAttribute("aria-pressed", !hidden.has(code));
    made.addEventListener("click", () => {
      if (hidden.has(code)) hidden.delete(code);
      else hidden.add(code);
      made.setAttribute("aria-pressed", !hidden.has(code));
      drawPoints();
    });
    return made;
  }));
}

// Pictures of the map.

async function savePng() {
  const [width, height] = size();
  const sheet = document.createElement("canvas");
  const ink = sheet.getContext("2d");
  const font = "13px system-ui, sans-serif";
  const entries = map.colour.values.map((name, code) => [name, map.colour.colours[code]]);
  if (map.codes.includes(-1)) entries.push(["Unknown", map.colour.unknown]);
  // The legend takes as many lines as it needs.
  ink.font = font;
  const spots = [];
  let [left, line_] = [12, 0];
  for (const [name] of entries) {
    const wide = 34 + ink.measureText(name).width;
    if (left + wide > width && left > 12) [left, line_] = [12, line_ + 1];
    spots.push([left, line_]);
    left += wide;
  }
  const [head, foot] = [32, 24 + 22 * (line_ + 1)];
  [sheet.width, sheet.height] = [2 * width, 2 * (head + height + foot)];
  ink.fillStyle = getComputedStyle(document.body).backgroundColor;
  ink.fillRect(0, 0, sheet.width, sheet.height);
  ink.scale(2, 2);
  if (flat()) await redraw();
  const grown = flat() ? OVERSCAN : 1;
  const points = await decoded(await Plotly.toImage(plot, { format: "png", width: width * grown, height: height * grown, scale: 2 }));
  const cut = (grown - 1) / 2;
  ink.drawImage(points, 2 * width * cut, 2 * height * cut, 2 * width, 2 * height, 0, head, width, height);
  ink.drawImage(over, 0, head, width, height);
  ink.font = font;
  ink.fillStyle = style("--ls-text");
  ink.fillText(`${map.name}, ${map.title}, coloured by ${map.colour.label}`, 12, 20);
  if (flat()) {
    ink.fillStyle = style("--ls-quiet");
    ink.textAlign = "center";
    ink.fillText(map.axes[0], width / 2, head + height - 6);
    ink.save();
    ink.translate(14, head + height / 2);
    ink.rotate(-Math.PI / 2);
    ink.fillText(map.axes[1], 0, 0);
    ink.restore();
    ink.textAlign = "left";
  }
  entries.forEach(([name, colour], at) => {
    const [x, y] = [spots[at][0], head + height + 14 + 22 * spots[at][1]];
    ink.fillStyle = colour;
    ink.fillRect(x, y, 11, 11);
    ink.fillStyle = style("--ls-text");
    ink.fillText(name, x + 16, y + 10);
  });
  const link = document.createElement("a");
  link.href = sheet.toDataURL("image/png");
  link.download = `${map.name}.png`;
  link.click();
}

// What the server sets.

const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
function slide(before, after) {
  // The same pictures on another map: each goes to its new place.
  return new Promise((done) => {
    const began = performance.now();
    const side = map.count > 5000 ? 3 : 6;
    layer.style.visibility = "hidden";
    const step = (now) => {
      const part = Math.min(1, (now - began) / 800);
      const ease = part * part * (3 - 2 * part);
      const [width, height] = size();
      const ratio = window.devicePixelRatio || 1;
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, width, height);
      for (let row = 0; row < map.count; row++) {
        if (!shownRow(row)) continue;
        pen.fillStyle = colourOf(row);
        pen.fillRect(
          before[2 * row] + (after[2 * row] - before[2 * row]) * ease - side / 2,
          before[2 * row + 1] + (after[2 * row + 1] - before[2 * row + 1]) * ease - side / 2, side, side,
        );
      }
      if (part < 1) requestAnimationFrame(step);
      else {
        layer.style.visibility = "";
        done();
      }
    };
    requestAnimationFrame(step);
  });
}

function screenPlaces() {
  const places = new Float32Array(2 * map.count);
  for (let row = 0; row < map.count; row++) [places[2 * row], places[2 * row + 1]] = placed(row);
  return places;
}

async function paint() {
  const value = props.value || {};
  if (!value.token) return;
  const mine = (paint.turn = (paint.turn || 0) + 1);
  const before = map;
  const same = before && before.token === value.token;
  const moves = before && !same && before.pictures === value.pictures && before.dimensions === 2 && value.dimensions === 2;
  const places = moves && view ? screenPlaces() : null;
  const made = { ...value, points: unpack(value.points, Float32Array), codes: unpack(value.colour.codes, Int16Array), rowsOf: new Map() };
  made.codes.forEach((code, row) => {
    if (!made.rowsOf.has(code)) made.rowsOf.set(code, []);
    made.rowsOf.get(code).push(row);
  });
  map = made;
  ownImage = map.own ? await decoded(map.own.src) : null;
  if (!before || before.pictures !== map.pictures) {
    thumbs.clear();
    large.clear();
    wanted.clear();
    selected = [];
    chosenSet = new Set();
    groups = { shown: [], absent: [] };
  }
  if (!same || before.colour.label !== map.colour.label) hidden = new Set();
  if (!same) {
    turn++;
    chosen = walk = null;
    from = hovered = ringed = -1;
    find(".ls-card").hidden = true;
    gallery("", []);
  }
  try {
    await plotly();
  } catch {
    say("The script that draws the map could not be loaded; reload the page.");
    return;
  }
  if (mine !== paint.turn) return;
  say("");
  frame.dataset.flat = flat();
  find(".ls-axis-x").textContent = flat() && map.flat ? map.axes[0] : "";
  find(".ls-axis-y").textContent = flat() && map.flat ? map.axes[1] : "";
  drawLegend();
  arrange();
  root.dataset.painted = map.token;
  // In a tab that is not open there is no room yet; the observer draws when there is.
  if (!frame.clientWidth) {
    view = null;
    return;
  }
  if (flat()) {
    if (!same || !view) {
      view = whole();
      touched = false;
    }
    makeIndex();
  }
  if (places && !calm.matches) {
    drawn = null;
    await slide(places, screenPlaces());
    if (mine !== paint.turn) return;
  }
  if (before && before.dimensions !== map.dimensions) Plotly.purge(plot);
  await drawPoints();
  if (!flat()) listen3d();
  const moved = map.own && (!same || !before.own || before.own.src !== map.own.src);
  if (moved) {
    gallery(`Nearest to ${map.own.name}`, map.own.rows);
    if (flat()) bring(map.own.point);
  }
  root.dataset.drawn = map.token;
}

function listen3d() {
  plot.removeAllListeners?.("plotly_hover");
  plot.removeAllListeners?.("plotly_click");
  const rowOf = ({ curveNumber, pointNumber }) => {
    const codes = [...map.colour.values.keys()];
    if (map.codes.includes(-1)) codes.unshift(-1);
    return curveNumber < codes.length ? map.rowsOf.get(codes[curveNumber])[pointNumber] : -1;
  };
  const here = ({ event }) => (event ? place(event) : middle());
  plot.on("plotly_hover", (told) => hover(rowOf(told.points[0]), here(told)));
  plot.on("plotly_unhover", () => hover(-1));
  plot.on("plotly_click", (told) => {
    const row = rowOf(told.points[0]);
    if (row >= 0) choose(row);
  });
}

new ResizeObserver(async () => {
  if (!map || !frame.clientWidth || !window.Plotly) return;
  if (flat()) {
    // What nobody has moved shows everything in the new frame, too.
    if (!view || !touched) view = whole();
    makeIndex();
  }
  await drawPoints();
  if (!flat()) listen3d();
}).observe(frame);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => map && window.Plotly && drawPoints());

watch("value", paint);
arrange();
paint();
