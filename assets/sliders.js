// Sliders of attributes in groups: searched, dragged, typed, held, put back.
// The value says where each stands; the one under the hand is left alone.
const root = element.querySelector(".ls-sliders");
root.innerHTML = `
  <div class="ls-tools">
    <input class="ls-search" type="search" placeholder="Search sliders" aria-label="Search sliders">
    <button type="button" class="ls-all">Reset all</button>
  </div>
  <div class="ls-presets" role="group" aria-label="Presets"></div>
  <p class="ls-notes" role="status"></p>
  <div class="ls-leaks" aria-live="polite"></div>
  <div class="ls-groups"></div>
  <p class="ls-hint"></p>`;
const find = (selector) => root.querySelector(selector);
const rows = new Map();
let active = "";
let pause = 0;
let kind = "";

const percent = (value) => Math.round(100 * value);

function leave(event, data) {
  // What moves sliders by itself moves the one that the hand has just left, too. An answer that is
  // equal to the value from before the hand came is not heard of, so that one is shown at once.
  active = "";
  clearTimeout(pause);
  paint();
  trigger(event, data);
}

function slider(one, own) {
  const row = document.createElement("div");
  row.className = "ls-slider";
  row.dataset.name = one.name;
  const id = `ls-slider-${one.name.replace(/[^A-Za-z0-9]/g, "-")}`;
  row.innerHTML = `
    <label for="${id}"></label>
    <button type="button" class="ls-hold" title="Keep this as it is while others move">Hold</button>
    <input class="ls-number" type="number" aria-label="">
    <button type="button" class="ls-back" title="Put this slider back" aria-label="">↺</button>
    <input class="ls-range" id="${id}" type="range">
    <span class="ls-leak" aria-hidden="true"></span>`;
  const [range, number] = [row.querySelector(".ls-range"), row.querySelector(".ls-number")];
  row.querySelector("label").textContent = one.label;
  number.setAttribute("aria-label", `${one.label}, ${own ? "steps" : "percent"}`);
  row.querySelector(".ls-back").setAttribute("aria-label", `Put ${one.label} back`);
  const reach = (props.value || {}).reach || 3;
  const scale = own ? 1 : 100;
  Object.assign(range, own ? { min: -reach, max: reach, step: 0.05 } : { min: 0, max: 100, step: 1 });
  Object.assign(number, own ? { min: -reach, max: reach, step: 0.1 } : { min: 0, max: 100, step: 1 });
  const send = (value) => {
    active = one.name;
    row.dataset.moved = "true";
    range.value = value;
    number.value = own ? (+value).toFixed(1) : Math.round(value);
    trigger("slide", { name: one.name, value: value / scale, own });
    clearTimeout(pause);
    pause = setTimeout(() => {
      active = "";
      trigger("rest", {});
    }, 250);
  };
  range.addEventListener("input", () => send(+range.value));
  number.addEventListener("change", () => {
    const least = +number.min, most = +number.max;
    if (number.value === "" || Number.isNaN(+number.value)) return place(row, one, own);
    send(Math.min(most, Math.max(least, +number.value)));
  });
  row.querySelector(".ls-hold").addEventListener("click", () => trigger("hold", { name: one.name }));
  row.querySelector(".ls-back").addEventListener("click", () => leave("reset", { name: one.name }));
  row.querySelector(".ls-hold").hidden = own;
  return row;
}

function place(row, one, own) {
  const value = own ? one.value : 100 * one.value;
  row.querySelector(".ls-range").value = value;
  row.querySelector(".ls-number").value = own ? value.toFixed(1) : Math.round(value);
}

function fill(row, one, own) {
  if (active !== one.name) place(row, one, own);
  row.dataset.moved = Boolean(own ? one.value : one.moved);
  row.querySelector(".ls-hold").setAttribute("aria-pressed", Boolean(one.held));
  const origin = own ? 50 : 100 * one.origin;
  row.style.setProperty("--origin", `${origin}%`);
  row.title = own ? "" : `Began at ${percent(one.origin)} %`;
}

function group(name, entries, own) {
  const made = document.createElement("details");
  made.className = "ls-group";
  made.dataset.name = name;
  made.open = true;
  made.innerHTML = "<summary></summary>";
  made.querySelector("summary").textContent = name;
  for (const one of entries) {
    const row = slider(one, own);
    rows.set(one.name, row);
    made.append(row);
  }
  return made;
}

function paint() {
  const value = props.value || {};
  const groups = [...(value.groups || [])];
  if ((value.own || []).length) groups.unshift({ name: "Your own", sliders: value.own, own: true });
  const shape = JSON.stringify([value.composing, groups.map((g) => [g.name, g.sliders.map((s) => s.name)])]);
  if (shape !== kind) {
    kind = shape;
    rows.clear();
    find(".ls-groups").replaceChildren(...groups.map((g) => group(g.name, g.sliders, Boolean(g.own))));
    search();
  }
  for (const g of groups) for (const one of g.sliders) fill(rows.get(one.name), one, Boolean(g.own));
  root.dataset.empty = groups.length === 0;
  // A few of one's own need no search.
  root.dataset.few = groups.every((one) => one.own);
  root.dataset.composing = Boolean(value.composing);
  find(".ls-hint").textContent = groups.length ? "" : value.hint || "";
  find(".ls-notes").textContent = (value.notes || []).join(" ");
  find(".ls-presets").replaceChildren(
    ...(value.presets || []).map((label, index) => {
      const made = document.createElement("button");
      made.type = "button";
      made.textContent = label;
      made.addEventListener("click", () => leave("preset", { index, label }));
      return made;
    })
  );
  leaks(value.leaks || {});
}

function leaks(found) {
  const list = find(".ls-leaks");
  list.replaceChildren();
  if (found.judged) {
    const title = document.createElement("strong");
    title.textContent = found.most.length ? "What else changed" : "Nothing else changed notably";
    const lines = document.createElement("ul");
    for (const words of found.most) {
      const line = document.createElement("li");
      line.textContent = words;
      lines.append(line);
    }
    list.append(title, lines);
    if (found.same) {
      const same = document.createElement("p");
      same.textContent = found.same;
      list.append(same);
    }
  }
  for (const [name, row] of rows) {
    const change = (found.changes || {})[name] || 0;
    const bar = row.querySelector(".ls-leak");
    bar.style.setProperty("--change", Math.abs(change));
    bar.dataset.sign = Math.abs(change) < 0.05 ? "none" : change > 0 ? "more" : "less";
  }
}

function search() {
  const wanted = find(".ls-search").value.trim().toLowerCase();
  for (const made of root.querySelectorAll(".ls-group")) {
    let any = false;
    for (const row of made.querySelectorAll(".ls-slider")) {
      const hit = row.querySelector("label").textContent.toLowerCase().includes(wanted);
      row.hidden = !hit;
      any ||= hit;
    }
    made.hidden = !any;
  }
}

find(".ls-search").addEventListener("input", search);
find(".ls-all").addEventListener("click", () => leave("reset", { name: "" }));
watch("value", paint);
paint();
