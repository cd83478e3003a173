// The memory of loaded models: each with its bytes, and the limit for all of them.
const root = element.querySelector(".ls-memory");
root.innerHTML = `
  <h3 class="ls-title">Memory</h3>
  <meter min="0" max="1" aria-label="Memory of loaded models, as a share of the limit"></meter>
  <p class="ls-sum"></p>
  <ul></ul>
  <p class="ls-others"></p>
  <label><span>Keep at most <output></output> MB of models loaded</span><input type="range" step="32"></label>
  <p class="ls-hint">For all visitors of this page; it takes effect at once.</p>`;
const find = (selector) => root.querySelector(selector);
const slider = find("input");

function row(item) {
  const made = document.createElement("li");
  made.innerHTML = '<span></span><b></b><button type="button">Unload</button>';
  const [name, size, button] = made.children;
  name.textContent = item.name;
  size.textContent = item.text;
  button.setAttribute("aria-label", `Unload ${item.name}`);
  button.addEventListener("click", () => {
    button.disabled = true;
    trigger("cool", { name: item.name });
  });
  return made;
}

function paint() {
  const value = props.value || {};
  root.hidden = !value.most;
  find(".ls-sum").textContent = value.line || "";
  find("meter").value = value.share || 0;
  find(".ls-others").textContent = value.others || "";
  find("ul").replaceChildren(...(value.items || []).map(row));
  [slider.min, slider.max] = [value.least, value.most];
  slider.value = value.limit;
  find("output").textContent = value.limit;
}

// While it moves nothing is thrown out: that happens where it comes to rest.
slider.addEventListener("input", () => (find("output").textContent = slider.value));
slider.addEventListener("change", () => trigger("limit", { megabytes: Number(slider.value) }));
watch("value", paint);
paint();
