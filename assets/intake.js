// A place for a packed model: drop or choose a zip; what came of it stands there.
const root = element.querySelector(".ls-intake");
// The field lies over the whole place, so that dropping on it is the browser's own.
root.innerHTML = `
  <h3 class="ls-title">Import</h3>
  <label class="ls-zone"><span>Drop a model's zip here, or choose one</span>
    <input type="file" accept=".zip" aria-label="A model's zip to import"></label>
  <div class="ls-sending"><span role="status"></span><progress class="ls-progress"></progress></div>
  <p class="ls-told" role="status"></p><p class="ls-problem" role="alert"></p>
  <p class="ls-hint">One that Latent Studio exported. It is checked before it is taken in; nothing in it can run code.</p>`;
const find = (selector) => root.querySelector(selector);
const file = find("input");

function say(told, problem) {
  find(".ls-told").textContent = told;
  find(".ls-problem").textContent = problem;
}

async function send(chosen) {
  const about = { path: "", name: chosen.name, bytes: chosen.size };
  const doing = (what) => (find(".ls-sending span").textContent = `${what} ${chosen.name}…`);
  say("", "");
  if (chosen.size > (props.value || {}).most) return trigger("take", about);
  root.dataset.busy = "true";
  doing("Sending");
  // What did not arrive is refused by the server, in a sentence.
  const sent = await upload(chosen).catch(() => about);
  doing("Checking");
  trigger("take", { ...about, path: sent.path });
}

function paint() {
  const value = props.value || {};
  delete root.dataset.busy;
  say(value.told || "", value.problem || "");
}

file.addEventListener("change", () => {
  if (file.files.length && !root.dataset.busy) send(file.files[0]);
  file.value = "";
});
watch("value", paint);
paint();
