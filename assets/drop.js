// A place for a photograph: drop, choose, paste or take one; see and move its crop.
const root = element.querySelector(".ls-drop");
const LARGEST = 25 * 1024 * 1024;
// A result of ours, which carries its recipe, may be larger: a whole photo without loss.
const LARGEST_RESULT = 200 * 1024 * 1024;
const NAMES = [["x", "Left to right"], ["y", "Up and down"], ["side", "Size"], ["angle", "Angle"]];
let frame = null;
let pause = 0;
let moving = null;

root.innerHTML = `
  <div class="ls-head">
    <strong></strong><span class="ls-hint"></span>
    <span class="ls-actions">
      <button type="button" class="ls-camera">Camera</button>
      <button type="button" class="ls-choose"></button>
      <button type="button" class="ls-remove">Remove</button>
    </span>
  </div>
  <div class="ls-view">
    <div class="ls-zone">
      <div class="ls-empty">Drop or paste a photo here,<br>or choose a file</div>
      <div class="ls-photo"><img alt=""><svg preserveAspectRatio="none"><polygon/></svg></div>
      <div class="ls-busy" role="status">Reading the photo…</div>
    </div>
    <figure class="ls-crop"><img alt="The aligned crop"><figcaption>The crop</figcaption></figure>
  </div>
  <input type="file" class="ls-file" accept="image/*,.heic,.heif" tabindex="-1" aria-hidden="true">
  <input type="file" class="ls-shot" accept="image/*" capture="user" tabindex="-1" aria-hidden="true">
  <div class="ls-faces" role="group" aria-label="Faces in this photo"></div>
  <p class="ls-verdict"></p><p class="ls-warning"></p>
  <div class="ls-doubt"><p></p><button type="button" class="ls-confirm">Use this crop</button></div>
  <details class="ls-adjust"><summary>Adjust the crop</summary>
    <p>Drag the frame in the photo, or move it here: the eyes belong on its middle line.</p>
    ${NAMES.map(([key, text]) => `<label>${text}<input type="range" data-key="${key}" step="any"></label>`).join("")}
    <button type="button" class="ls-whole">It is a crop already: take all of it</button>
  </details>`;

const find = (selector) => root.querySelector(selector);
const file = find(".ls-file");
const polygon = find("polygon");

async function isTooLarge(chosen) {
  if (chosen.size <= LARGEST || chosen.size > LARGEST_RESULT) return chosen.size > LARGEST;
  return !(await chosen.slice(0, 2 ** 20).text()).includes("latent-studio");
}

async function send(chosen) {
  if (!chosen) return;
  const name = chosen.name || "pasted.png";
  if (await isTooLarge(chosen)) {
    trigger("photo", { path: "", name, bytes: chosen.size });
    return;
  }
  root.dataset.busy = "true";
  try {
    const { path } = await upload(chosen);
    trigger("photo", { path, name, bytes: chosen.size });
  } catch (error) {
    trigger("photo", { path: "", name, bytes: 0 });
  }
  // The answer clears it; should none come, the place must not stay locked.
  setTimeout(() => delete root.dataset.busy, 20000);
}

function drawFrame() {
  const value = props.value || {};
  const turn = (frame.angle * Math.PI) / 180;
  const [c, s] = [Math.cos(turn), Math.sin(turn)].map((part) => (part * frame.side) / 2);
  const corners = [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(
    ([a, b]) => `${frame.x + a * c - b * s},${frame.y + a * s + b * c}`
  );
  find("svg").setAttribute("viewBox", `0 0 1 ${value.ratio}`);
  polygon.setAttribute("points", corners.join(" "));
}

function ranges() {
  const tall = props.value.ratio;
  return { x: [0, 1], y: [0, tall], side: [0.02, Math.max(1, tall) * 1.2], angle: [-90, 90] };
}

function moved() {
  drawFrame();
  for (const input of root.querySelectorAll(".ls-adjust input")) input.value = frame[input.dataset.key];
  clearTimeout(pause);
  pause = setTimeout(() => trigger("frame", { ...frame }), 150);
}

function paint() {
  const value = props.value || {};
  delete root.dataset.busy;
  root.dataset.filled = Boolean(value.photo);
  root.dataset.doubtful = Boolean(value.doubt);
  root.classList.toggle("ls-compact", Boolean(value.compact));
  find("strong").textContent = value.title || "";
  find(".ls-hint").textContent = value.hint || "";
  find(".ls-choose").textContent = value.photo ? "Replace" : "Choose";
  find(".ls-choose").setAttribute("aria-label", `${value.photo ? "Replace" : "Choose"} ${value.title}`);
  find(".ls-remove").setAttribute("aria-label", `Remove ${value.title}`);
  if (!value.photo) return;
  find(".ls-photo img").src = value.photo;
  find(".ls-photo img").alt = value.title;
  find(".ls-crop img").src = value.crop;
  find(".ls-verdict").textContent = value.verdict || "";
  find(".ls-verdict").dataset.level = value.level || "";
  find(".ls-warning").textContent = value.warning || "";
  find(".ls-doubt p").textContent = value.doubt || "";
  if (value.doubt) find(".ls-adjust").open = true;
  if (!moving) frame = { ...value.frame };
  drawFrame();
  const limits = ranges();
  for (const input of root.querySelectorAll(".ls-adjust input")) {
    [input.min, input.max] = limits[input.dataset.key];
    input.value = frame[input.dataset.key];
  }
  find(".ls-faces").replaceChildren(
    ...(value.faces || []).map((source, index) => {
      const made = document.createElement("button");
      made.type = "button";
      made.innerHTML = `<img alt="Face ${index + 1}">`;
      made.firstChild.src = source;
      made.setAttribute("aria-pressed", index === value.chosen);
      made.addEventListener("click", () => trigger("face", { index }));
      return made;
    })
  );
}

find(".ls-choose").addEventListener("click", () => file.click());
find(".ls-camera").addEventListener("click", () => find(".ls-shot").click());
find(".ls-empty").addEventListener("click", () => file.click());
find(".ls-remove").addEventListener("click", () => trigger("remove", {}));
find(".ls-confirm").addEventListener("click", () => trigger("confirm", {}));
find(".ls-whole").addEventListener("click", () => trigger("whole", {}));
for (const input of [file, find(".ls-shot")]) {
  input.addEventListener("change", () => {
    send(input.files[0]);
    input.value = "";
  });
}
for (const kind of ["dragenter", "dragover"]) {
  root.addEventListener(kind, (event) => {
    event.preventDefault();
    root.dataset.over = "true";
  });
}
root.addEventListener("dragleave", () => delete root.dataset.over);
root.addEventListener("drop", (event) => {
  event.preventDefault();
  delete root.dataset.over;
  send(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  const pasted = [...(event.clipboardData?.files || [])][0];
  const here = root.matches(":hover") || root.contains(document.activeElement);
  if (pasted && here && root.isConnected) send(pasted);
});
for (const input of root.querySelectorAll(".ls-adjust input")) {
  input.addEventListener("input", () => {
    frame[input.dataset.key] = Number(input.value);
    moved();
  });
}
polygon.addEventListener("pointerdown", (event) => {
  event.preventDefault();
  polygon.setPointerCapture(event.pointerId);
  moving = { x: event.clientX, y: event.clientY, from: { ...frame } };
});
polygon.addEventListener("pointermove", (event) => {
  if (!moving) return;
  const width = find(".ls-photo").clientWidth;
  frame.x = moving.from.x + (event.clientX - moving.x) / width;
  frame.y = moving.from.y + (event.clientY - moving.y) / width;
  moved();
});
for (const kind of ["pointerup", "pointercancel"]) {
  polygon.addEventListener(kind, () => (moving = null));
}
find("svg").addEventListener(
  "wheel",
  (event) => {
    if (!find(".ls-adjust").open) return;
    event.preventDefault();
    frame.side *= Math.exp(-event.deltaY / 600);
    moved();
  },
  { passive: false }
);
watch("value", paint);
paint();
