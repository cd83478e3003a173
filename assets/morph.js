// The stage between pictures: the decoded picture, the cross-fade to compare it with, and the pad.
// While the dot moves only its place travels: one decode at a time, the latest place wins. The
// cross-fade is made here.
const root = element.querySelector(".ls-morph");
const view = { line: "both", square: "model" };
const STEP = 0.02;
let shown = { mode: "line", place: [0.5, 0.5], corners: [] };
let corners = [];
let picture = null;
let wanted = null;
let busy = false;
let held = false;
let moved = false;
let pause = 0;
let latest = 0;

const LOOKS = [["both", "Both"], ["model", "Model"], ["fade", "Cross-fade"]];
root.innerHTML = `
  <div class="ls-bar">
    <div class="ls-segments" role="group" aria-label="What is shown">
      ${LOOKS.map(([key, text]) => `<button type="button" data-look="${key}">${text}</button>`).join("")}
    </div>
    <div class="ls-use" role="group" aria-label="Use this picture as a corner"><span>Use as a corner</span>
      <div class="ls-segments">
        ${["a", "b", "c", "d"].map((key) => `<button type="button" data-corner="${key}" aria-label="Use as corner ${key.toUpperCase()}">${key.toUpperCase()}</button>`).join("")}
      </div>
    </div>
  </div>
  <div class="ls-board">
    <div class="ls-duo">
      <figure class="ls-made"><canvas role="img"></canvas><figcaption class="ls-tag"></figcaption></figure>
      <figure class="ls-fade"><canvas role="img"></canvas><figcaption class="ls-tag"></figcaption></figure>
    </div>
    <div class="ls-pad" tabindex="0" role="slider" aria-label="Place between the four pictures"
      aria-valuemin="0" aria-valuemax="100">
      <img class="ls-map" alt="" draggable="false">
      ${["a", "b", "c", "d"].map((key) => `<span class="ls-badge ls-at-${key}">${key.toUpperCase()}</span>`).join("")}
      <span class="ls-dot"></span>
    </div>
    <div class="ls-track">
      <img class="ls-end" alt="Picture at the start"><input type="range" min="0" max="1000" step="1"
        aria-label="Place between the pictures"><img class="ls-end" alt="Picture at the end">
      <div class="ls-keys" aria-hidden="true"></div>
    </div>
  </div>
  <p class="ls-caption" aria-live="polite"></p><p class="ls-caption ls-size"></p>`;

const find = (selector) => root.querySelector(selector);
const pad = find(".ls-pad");
const range = find(".ls-track input");
const [madeCanvas, fadeCanvas] = root.querySelectorAll("canvas");
const percent = (part) => `${Math.round(100 * part)} %`;
const clamp = (part) => Math.min(1, Math.max(0, part));

async function decoded(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
}

// Drawing.

function weights() {
  const [x, y] = shown.place;
  if (shown.mode === "square") return [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y];
  const position = x * (corners.length - 1);
  return corners.map((_, index) => Math.max(0, 1 - Math.abs(position - index)));
}

function draw(canvas, source) {
  // Enlarged once, smoothly; the browser fits the rest.
  const side = Math.max(512, shown.size);
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(source, 0, 0, side, side);
}

const mixed = document.createElement("canvas");
function drawFade() {
  mixed.width = mixed.height = shown.size;
  const pen = mixed.getContext("2d");
  pen.fillRect(0, 0, shown.size, shown.size);
  pen.globalCompositeOperation = "lighter";
  weights().forEach((weight, index) => {
    pen.globalAlpha = weight;
    pen.drawImage(corners[index], 0, 0);
  });
  draw(fadeCanvas, mixed);
}

function words() {
  const [x, y] = shown.place;
  if (shown.mode === "square") return `${percent(x)} to the right, ${percent(y)} down`;
  const parts = shown.corners.length - 1;
  const start = Math.min(Math.floor(x * parts), parts - 1);
  const [from, to] = [shown.corners[start].label, shown.corners[start + 1].label];
  return `${percent(x * parts - start)} of the way from ${from} to ${to}`;
}

function drawPlace() {
  const [x, y] = shown.place;
  const spot = (part) => `${(100 * (0.5 + part * (shown.side - 1))) / shown.side}%`;
  if (shown.mode === "square") {
    find(".ls-dot").style.left = spot(x);
    find(".ls-dot").style.top = spot(y);
    pad.setAttribute("aria-valuenow", Math.round(100 * x));
    pad.setAttribute("aria-valuetext", words());
  } else {
    range.value = Math.round(1000 * x);
    range.style.setProperty("--part", x);
    range.setAttribute("aria-valuetext", words());
  }
  find(".ls-caption").textContent = words();
}

function arrange() {
  root.dataset.mode = shown.mode;
  root.dataset.look = view[shown.mode];
  for (const button of root.querySelectorAll("[data-look]")) {
    button.setAttribute("aria-pressed", button.dataset.look === view[shown.mode]);
  }
}

function drawAll() {
  if (picture) draw(madeCanvas, picture);
  drawFade();
  drawPlace();
  root.dataset.painted = shown.place.map((part) => part.toFixed(3)).join(",");
}

// Following the dot.

async function follow() {
  if (busy) return;
  busy = true;
  while (wanted) {
    const [place, token] = [wanted, shown.token];
    wanted = null;
    const answer = await server.move({ token, x: place[0], y: place[1] });
    if (!answer || answer.error) {
      trigger("refresh", {});
      break;
    }
    const made = await decoded(answer.picture);
    if (token !== shown.token) continue;
    picture = made;
    draw(madeCanvas, picture);
    root.dataset.painted = place.map((part) => part.toFixed(3)).join(",");
  }
  busy = false;
  if (wanted) follow();
}

function go(x, y) {
  shown.place = [clamp(x), clamp(y)];
  wanted = shown.place;
  drawFade();
  drawPlace();
  follow();
  clearTimeout(pause);
  if (!held) rest();
}

function rest() {
  clearTimeout(pause);
  pause = setTimeout(() => trigger("rest", { x: shown.place[0], y: shown.place[1] }), 300);
}

function pointed(event) {
  const box = pad.getBoundingClientRect();
  // The square runs between the middles of the outer cells.
  const part = (at, start, length) => (((at - start) / length) * shown.side - 0.5) / (shown.side - 1);
  return [part(event.clientX, box.left, box.width), part(event.clientY, box.top, box.height)];
}

pad.addEventListener("pointerdown", (event) => {
  event.preventDefault();
  pad.focus({ preventScroll: true });
  pad.setPointerCapture(event.pointerId);
  held = true;
  moved = false;
  pad.dataset.from = `${event.clientX},${event.clientY}`;
});
pad.addEventListener("pointermove", (event) => {
  if (!held) return;
  const [x, y] = pad.dataset.from.split(",").map(Number);
  moved = moved || Math.hypot(event.clientX - x, event.clientY - y) > 3;
  if (moved) go(...pointed(event));
});
pad.addEventListener("pointerup", (event) => {
  if (!held) return;
  held = false;
  // A click takes the cell, a drag any place.
  const snap = (part) => Math.round(clamp(part) * (shown.side - 1)) / (shown.side - 1);
  const place = pointed(event);
  go(...(moved ? place : place.map(snap)));
});
pad.addEventListener("pointercancel", () => {
  held = false;
  rest();
});
pad.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!steps) return;
  event.preventDefault();
  const step = event.shiftKey ? 1 / (shown.side - 1) : STEP;
  go(shown.place[0] + steps[0] * step, shown.place[1] + steps[1] * step);
});
range.addEventListener("input", () => go(range.value / 1000, shown.place[1]));
root.addEventListener("click", (event) => {
  const { look, corner } = event.target.dataset || {};
  if (look) {
    view[shown.mode] = look;
    arrange();
  }
  if (corner) trigger("corner", { corner, x: shown.place[0], y: shown.place[1] });
});

// What the server sets.

function drawKeys() {
  // The ends have their pictures; letters stand where the others are passed.
  const last = corners.length - 1;
  find(".ls-keys").replaceChildren(
    ...shown.corners.slice(1, -1).map((corner, index) => {
      const made = document.createElement("span");
      made.textContent = corner.label;
      made.style.setProperty("--at", (index + 1) / last);
      return made;
    })
  );
  const [start, end] = root.querySelectorAll(".ls-end");
  start.src = shown.corners[0].src;
  end.src = shown.corners[last].src;
}

async function paint() {
  const value = props.value || {};
  const turn = ++latest;
  if (!value.token) {
    root.dataset.empty = true;
    find(".ls-caption").textContent = value.caption || "Opening an example…";
    return;
  }
  const all = await Promise.all([...value.corners.map((one) => decoded(one.src)), decoded(value.picture)]);
  if (turn !== latest) return;
  const place = held ? shown.place : value.place;
  picture = all.pop();
  corners = all;
  shown = { ...value, mode: value.mode === "grid" ? "square" : "line", place };
  if (value.map) find(".ls-map").src = value.map;
  if (shown.mode === "line") drawKeys();
  find(".ls-made .ls-tag").textContent = value.label;
  find(".ls-fade .ls-tag").textContent = value.fade;
  madeCanvas.setAttribute("aria-label", `The picture that ${value.label} draws`);
  fadeCanvas.setAttribute("aria-label", "The pixel cross-fade at the same place");
  find(".ls-size").textContent = `${value.size} × ${value.size} pixels, enlarged. ${value.note}`;
  root.dataset.empty = false;
  arrange();
  drawAll();
  if (held) {
    wanted = place;
    follow();
  }
}

watch("value", paint);
arrange();
paint();
