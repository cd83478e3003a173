// A place for a packed model: drop or choose a zip; what came of it stands there.
const root = element.querySelector(".ls-intake");
root.innerHTML = `
  <h3 class="ls-title">Import</h3>
  <div class="ls-zone">
    <button type="button">Drop a model's zip here, or choose one</button>
    <div class="ls-busy"><span role="status"></span><progress class="ls-progress"></progress></div>
  </div>
  <p class="ls-told" role="status"></p><p class="ls-problem" role="alert"></p>
  <p class="ls-hint">One that Latent Studio exported. It is checked before it is taken in; nothing in it can run code.</p>
  <input type="file" accept=".zip" tabindex="-1" aria-hidden="true">`;
const find = (selector) => root.querySelector(selector);
const file = find("input");

function say(told, problem) {
  find(".ls-told").textContent = told;
  find(".ls-problem").textContent = problem;
}

async function send(chosen) {
  if (!chosen || root.dataset.busy) return;
  const about = { path: "", name: chosen.name, bytes: chosen.size };
  say("", "");
  if (chosen.size > (props.value || {}).most) return trigger("take", about);
  root.dataset.busy = "true";
  find(".ls-busy span").textContent = `Sending ${chosen.name}…`;
  try {
    const { path } = await upload(chosen);
    find(".ls-busy span").textContent = `Checking ${chosen.name}…`;
    trigger("take", { ...about, path });
  } catch (error) {
    trigger("take", about);
  }
}

function paint() {
  const value = props.value || {};
  delete root.dataset.busy;
  say(value.told || "", value.problem || "");
}

find("button").addEventListener("click", () => file.click());
file.addEventListener("change", () => {
  send(file.files[0]);
  file.value = "";
});
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
watch("value", paint);
paint();
