// One card per checkpoint; loading and giving back memory.
const root = element.querySelector(".ls-models");

function text(tag, content, className) {
  const made = document.createElement(tag);
  made.textContent = content;
  if (className) made.className = className;
  return made;
}

function list(rows) {
  const made = document.createElement("dl");
  for (const [name, value, help] of rows) {
    const label = text("dt", name);
    const number = text("dd", value);
    if (help) number.append(text("small", help));
    made.append(label, number);
  }
  return made;
}

function card(item) {
  const made = document.createElement("article");
  made.className = "ls-model-card";
  const head = document.createElement("header");
  head.append(text("h3", item.title), text("span", item.state, item.warm ? "ls-badge ls-warm" : "ls-badge"));
  made.append(head, text("p", item.line));
  if (item.samples) {
    const picture = document.createElement("img");
    picture.src = item.samples;
    picture.alt = `Samples of ${item.title}`;
    made.append(picture);
  }
  if (item.metrics.length) made.append(text("h4", "Measured"), list(item.metrics));
  if (item.more.length) {
    const fold = document.createElement("details");
    fold.append(text("summary", "All numbers"), list(item.more));
    made.append(fold);
  }
  made.append(text("h4", "Where it comes from"), list(item.facts));
  const button = text("button", item.warm ? "Give its memory back" : "Load into memory");
  button.type = "button";
  button.setAttribute("aria-label", `${button.textContent}: ${item.name}`);
  button.addEventListener("click", () => {
    button.disabled = true;
    trigger(item.warm ? "cool" : "warm", { name: item.name });
  });
  made.append(button);
  return made;
}

function paint() {
  const value = props.value || {};
  root.replaceChildren(...(value.cards || []).map(card));
}
watch("value", paint);
paint();
