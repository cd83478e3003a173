// Settings of any kind, each with its sentence; only those that were changed are told.
const root = element.querySelector(".ls-settings");

function input(item, value) {
  const made = document.createElement("input");
  made.type = { switch: "checkbox", text: "text" }[item.kind] || "number";
  if (made.type === "checkbox") made.checked = value;
  else made.value = value;
  if (item.kind === "number") made.step = "any";
  made.setAttribute("aria-description", item.help);
  made.addEventListener("change", () => change(item, made));
  return made;
}

function read(item, made) {
  if (item.kind === "switch") return made.checked;
  if (item.kind === "text") return made.value;
  return made.value === "" ? item.base : Number(made.value);
}

function change(item, made) {
  const changed = { ...props.value.changed };
  const value = read(item, made);
  delete changed[item.name];
  if (value !== item.base) changed[item.name] = value;
  // The form reads it from here.
  props.value = { ...props.value, changed };
  paint();
  trigger("edit", {});
}

function row(item) {
  const made = document.createElement("label");
  const name = document.createElement("span");
  name.textContent = item.label;
  made.append(name);
  made.dataset.name = item.name;
  made.title = item.help;
  return made;
}

let shown = "";
function paint() {
  const { items = [], changed = {} } = props.value || {};
  const names = items.map((item) => item.name).join();
  if (names !== shown) root.replaceChildren(...items.map(row));
  shown = names;
  items.forEach((item, at) => {
    const place = root.children[at];
    const value = item.name in changed ? changed[item.name] : item.base;
    const old = place.querySelector("input");
    if (old && old === document.activeElement) return;
    if (old) old.remove();
    place.append(input(item, value));
    place.dataset.changed = item.name in changed;
  });
}
watch("value", paint);
paint();
