// The stage: a photograph, the changed part of it on top, and ways to compare the two.
// Only the changed part travels while a slider moves; it is decoded before it is drawn, so that
// nothing flickers.
const root = element.querySelector(".ls-stage");
const view = { compare: "wipe", zoom: "photo", model: "off", wipe: 0.5 };
const shown = { key: null, base: "", face: null, ratio: 1, patch: null, picture: null };
let latest = 0;

const buttons = (name, options) =>
  `<div class="ls-segments" role="group" aria-label="${name}">` +
  options
    .map(([key, text]) => `<button type="button" data-name="${name}" data-key="${key}">${text}</button>`)
    .join("") +
  "</div>";
const sheet = (after) =>
  `<div class="ls-sheet"><img class="ls-base" alt="${after ? "The result" : "The photo before"}">` +
  (after ? '<div class="ls-after"><canvas></canvas></div>' : "") +
  "</div>";
root.innerHTML = `
  <div class="ls-bar">
    ${buttons("compare", [["wipe", "Wipe"], ["sides", "Side by side"], ["difference", "Difference"], ["off", "Result"]])}
    ${buttons("zoom", [["photo", "Whole photo"], ["face", "Face"]])}
    ${buttons("model", [["on", "Model output"]])}
  </div>
  <div class="ls-panes">
    <div class="ls-pane ls-left">${sheet(false)}<span class="ls-tag">Before</span></div>
    <div class="ls-pane ls-main">${sheet(true)}
      <span class="ls-tag ls-legend">Orange became brighter, blue darker</span>
      <span class="ls-tag ls-before">Before</span><span class="ls-tag ls-result">After</span>
      <div class="ls-line"></div>
      <input class="ls-wipe" type="range" min="0" max="1000" value="500"
        aria-label="Divider between before and after">
    </div>
    <figure class="ls-model"><img alt="What the model itself draws"><figcaption></figcaption></figure>
  </div>
  <p class="ls-caption" aria-live="polite"></p>`;

const find = (selector) => root.querySelector(selector);
const canvas = find("canvas");
const wipe = find(".ls-wipe");

function zoomed() {
  // The scale and the shift, in parts of the pane, that bring the face into view.
  if (view.zoom !== "face" || !shown.face) return { scale: 1, x: 0, y: 0 };
  const { x, y, width, height } = shown.face;
  const scale = Math.max(1, Math.min(1 / width, 1 / height));
  const hold = (middle) => Math.min(0, Math.max(1 - scale, 0.5 - middle * scale));
  return { scale, x: hold(x + width / 2), y: hold(y + height / 2) };
}

function arrange() {
  const { scale, x, y } = zoomed();
  root.dataset.compare = view.compare;
  root.dataset.model = view.model;
  root.style.setProperty("--ratio", shown.ratio);
  for (const one of root.querySelectorAll(".ls-sheet")) {
    one.style.transform = `translate(${100 * x}%, ${100 * y}%) scale(${scale})`;
  }
  const cut = view.compare === "wipe" ? Math.min(1, Math.max(0, (view.wipe - x) / scale)) : 0;
  find(".ls-after").style.clipPath = `inset(0 0 0 ${100 * cut}%)`;
  find(".ls-line").style.left = `${100 * view.wipe}%`;
  for (const button of root.querySelectorAll(".ls-bar button")) {
    button.setAttribute("aria-pressed", view[button.dataset.name] === button.dataset.key);
  }
}

function drawPatch() {
  // The changed part as it is, or how far it is from the photograph below it.
  const { patch, picture } = shown;
  canvas.width = patch ? picture.naturalWidth : 0;
  canvas.height = patch ? picture.naturalHeight : 0;
  if (!patch) return;
  const pen = canvas.getContext("2d");
  pen.drawImage(picture, 0, 0);
  if (view.compare === "difference") drawDifference(pen, patch);
  for (const side of ["left", "top", "width", "height"]) canvas.style[side] = `${100 * patch[side]}%`;
}

function drawDifference(pen, patch) {
  // What became brighter in orange, what became darker in blue, four times as strong as it is.
  const base = find(".ls-main .ls-base");
  const [wide, tall] = [base.naturalWidth, base.naturalHeight];
  const before = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
  const part = [patch.left * wide, patch.top * tall, patch.width * wide, patch.height * tall];
  before.drawImage(base, ...part, 0, 0, canvas.width, canvas.height);
  const now = pen.getImageData(0, 0, canvas.width, canvas.height);
  const [own, old] = [now.data, before.getImageData(0, 0, canvas.width, canvas.height).data];
  for (let at = 0; at < own.length; at += 4) {
    const change = (4 / 3) * (own[at] + own[at + 1] + own[at + 2] - old[at] - old[at + 1] - old[at + 2]);
    own[at] = 128 + change;
    own[at + 1] = 128 + change / 4;
    own[at + 2] = 128 - change;
    own[at + 3] = 255;
  }
  pen.putImageData(now, 0, 0);
}

async function decoded(source) {
  const picture = new Image();
  picture.src = source;
  await picture.decode();
  return picture;
}

async function paint() {
  const value = props.value || {};
  const turn = ++latest;
  root.dataset.empty = !value.key;
  find(".ls-caption").textContent = value.caption || "";
  if (!value.key) {
    shown.key = null;
    return;
  }
  const known = value.key === shown.key;
  if (!known && !value.base) {
    // The page was rebuilt while only changes came: ask for all of it.
    trigger("refresh", {});
    return;
  }
  const [picture] = await Promise.all([
    value.patch ? decoded(value.patch.src) : null,
    known ? null : decoded(value.base),
  ]);
  if (turn !== latest) return;
  if (!known) {
    const all = [...root.querySelectorAll(".ls-base")];
    for (const base of all) base.src = value.base;
    await Promise.all(all.map((base) => base.decode()));
    Object.assign(shown, { key: value.key, face: value.face, ratio: value.ratio });
  }
  if (value.face) shown.face = value.face;
  Object.assign(shown, { patch: value.patch, picture });
  root.dataset.edited = Boolean(value.model);
  drawPatch();
  const model = find(".ls-model");
  model.hidden = !value.model;
  if (value.model) {
    model.querySelector("img").src = value.model.src;
    model.querySelector("figcaption").textContent = value.model.caption;
  }
  arrange();
  root.dataset.painted = value.serial;
}

root.addEventListener("click", (event) => {
  const { name, key } = event.target.dataset || {};
  if (!name) return;
  view[name] = name === "model" && view.model === "on" ? "off" : key;
  drawPatch();
  arrange();
});
wipe.addEventListener("input", () => {
  view.wipe = wipe.value / 1000;
  arrange();
});
watch("value", paint);
arrange();
paint();
