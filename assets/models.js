// One card per checkpoint: what it does, how well, and what can be done with it.
const root = element.querySelector(".ls-models");
root.innerHTML = `
  <div class="ls-undo" role="status"></div>
  <label class="ls-search"><span>Find a model</span><input type="search" placeholder="Name, method or data"></label>
  <p class="ls-vacant" hidden></p>
  <section class="ls-own"><h3>Yours</h3><div class="ls-cards"></div></section>
  <section class="ls-shipped"><h3>Shipped with Latent Studio</h3><div class="ls-cards"></div></section>
  <p class="ls-none" role="status"></p>
  <details class="ls-trash"><summary></summary><ul></ul></details>`;
const find = (selector) => root.querySelector(selector);
const search = find("input");
// Cards that did not change stay: an open fold, a name half typed.
const made = new Map();
// What was pressed and waits for its answer: the keyboard goes on from there.
let pressed = "";
let undo = {};

// All pictures at once would be megabytes, for cards that few scroll to.
const coming = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      coming.unobserve(target);
      server.on_sheet({ name: target.dataset.name }).then(({ src }) => src && (target.src = src));
    }
  },
  { rootMargin: "400px" }
);

function text(tag, content, className) {
  const one = document.createElement(tag);
  one.textContent = content;
  if (className) one.className = className;
  return one;
}

function list(rows) {
  const one = document.createElement("dl");
  for (const [name, value, help] of rows) {
    const number = text("dd", value);
    if (help) number.append(text("small", help));
    one.append(text("dt", name), number);
  }
  return one;
}

function button(label, item, act) {
  const one = text("button", label);
  one.type = "button";
  one.dataset.act = `${label} ${item.name}`;
  one.setAttribute("aria-label", `${label}: ${item.name}`);
  one.addEventListener("click", () => act(one));
  return one;
}

function asking(kind, item) {
  return (one) => {
    pressed = one.dataset.act;
    one.disabled = true;
    trigger(kind, item);
  };
}

function naming(item) {
  const form = document.createElement("form");
  form.hidden = true;
  form.innerHTML = `<label><span></span><input autocomplete="off" spellcheck="false" maxlength="80"></label>
    <button type="submit">Save</button><button type="button">Cancel</button>`;
  const [input, cancel] = [form.querySelector("input"), form.querySelector('[type="button"]')];
  form.querySelector("span").textContent = `${item.method}.`;
  input.setAttribute("aria-label", `New name after ${item.method}.`);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    pressed = `Rename ${item.method}.${input.value.trim()}`;
    trigger("rename", { name: item.name, tag: input.value });
  });
  const close = () => {
    form.hidden = true;
    find(`[data-act="Rename ${item.name}"]`).focus();
  };
  cancel.addEventListener("click", close);
  form.addEventListener("keydown", (event) => event.key === "Escape" && close());
  form.open = () => {
    form.hidden = false;
    input.value = item.tag;
    input.select();
    input.focus();
  };
  return form;
}

function card(item) {
  const one = document.createElement("article");
  one.className = "ls-model-card";
  const head = document.createElement("header");
  head.append(text("h4", item.title), text("span", item.state, item.warm ? "ls-badge ls-warm" : "ls-badge"));
  if (item.own) head.append(text("span", "yours", "ls-badge ls-yours"));
  one.append(head, text("code", item.name), text("p", item.line));
  if (item.ratio) {
    const picture = document.createElement("img");
    picture.alt = `Samples of ${item.title}`;
    picture.style.aspectRatio = item.ratio;
    picture.dataset.name = item.name;
    coming.observe(picture);
    one.append(picture);
  }
  if (item.metrics.length) one.append(text("h5", "Measured"), list(item.metrics));
  if (item.more.length) {
    const fold = document.createElement("details");
    fold.append(text("summary", "All numbers"), list(item.more));
    one.append(fold);
  }
  one.append(text("h5", "Where it comes from"), list(item.facts));
  const acts = document.createElement("div");
  acts.className = "ls-acts";
  const { name } = item;
  acts.append(
    button(item.warm ? "Unload" : "Load", item, asking(item.warm ? "cool" : "warm", { name })),
    button("Compare", item, () => trigger("compare", { name })),
    button("Export", item, () => trigger("export", { name }))
  );
  one.append(acts);
  if (item.own) {
    const form = naming(item);
    acts.append(button("Rename", item, () => form.open()), button("Delete", item, asking("delete", { name })));
    one.append(form);
  }
  return one;
}

function kept(item) {
  const sign = JSON.stringify(item);
  if (made.get(item.name)?.sign !== sign) {
    const words = [item.name, item.title, item.line, ...item.facts.flat()].join(" ").toLowerCase();
    made.set(item.name, { sign, words, view: card(item) });
  }
  return made.get(item.name);
}

function restoring(item, label) {
  return button(label, item, asking("restore", { key: item.key }));
}

function paintTrash(value) {
  const gone = value.deleted || [];
  if (value.undo?.key) undo = value.undo;
  if (!gone.some((item) => item.key === undo.key)) undo = {};
  // Painted again, what the keyboard is on would be lost.
  if (find(".ls-undo").dataset.key !== (undo.key || "")) {
    find(".ls-undo").dataset.key = undo.key || "";
    find(".ls-undo").replaceChildren(
      ...(undo.key ? [text("span", `${undo.name} was deleted.`), restoring(undo, "Undo")] : [])
    );
  }
  find(".ls-trash").hidden = !gone.length;
  find(".ls-trash summary").textContent = `Recently deleted (${gone.length})`;
  const keys = gone.map((item) => item.key + item.left).join(" ");
  if (find(".ls-trash ul").dataset.keys === keys) return;
  find(".ls-trash ul").dataset.keys = keys;
  find(".ls-trash ul").replaceChildren(
    ...gone.map((item) => {
      const one = document.createElement("li");
      one.append(text("code", item.name), text("span", item.left), restoring(item, "Restore"));
      return one;
    })
  );
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/);
  let shown = 0;
  for (const section of root.querySelectorAll("section")) {
    section.hidden = true;
    for (const view of section.querySelectorAll("article")) {
      view.hidden = !words.every((word) => view.words.includes(word));
      if (!view.hidden) section.hidden = false;
      shown += !view.hidden;
    }
  }
  find(".ls-none").textContent = made.size && !shown ? "No model has these words." : "";
}

function fill(place, items) {
  const views = items.map((item) => {
    const { view, words } = kept(item);
    return Object.assign(view, { words });
  });
  const box = find(`${place} .ls-cards`);
  // Moving an element that stays would take the keyboard's focus from it.
  if (views.length !== box.children.length || views.some((view, index) => box.children[index] !== view)) {
    box.replaceChildren(...views);
  }
}

function focusAgain() {
  const [, verb, name] = pressed.match(/^(\S+) (.*)$/);
  const turned = { Load: "Unload", Unload: "Load" }[verb];
  const next = [...root.querySelectorAll("[data-act]")].find((one) =>
    [pressed, `${turned} ${name}`].includes(one.dataset.act)
  );
  (next || find(".ls-undo button") || search).focus({ preventScroll: Boolean(next) });
}

function paint() {
  const value = props.value || {};
  const items = value.cards || [];
  for (const name of made.keys()) if (!items.some((item) => item.name === name)) made.delete(name);
  fill(".ls-own", items.filter((item) => item.own));
  fill(".ls-shipped", items.filter((item) => !item.own));
  find(".ls-vacant").textContent = value.empty || "";
  find(".ls-vacant").hidden = !value.empty;
  find(".ls-search").hidden = !items.length;
  paintTrash(value);
  filter();
  if (pressed) focusAgain();
}
// Whoever has gone on to something else stays there.
document.addEventListener("focusin", () => (pressed = ""));
search.addEventListener("input", filter);
watch("value", paint);
paint();
