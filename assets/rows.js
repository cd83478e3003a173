// Rows of frames, one per checkpoint, with the numbers of each beside it.
const root = element.querySelector(".ls-rows");

function text(tag, content, className) {
  const made = document.createElement(tag);
  made.textContent = content;
  if (className) made.className = className;
  return made;
}

function frame(source, row, column, item, count, chosen) {
  const made = document.createElement("button");
  made.type = "button";
  made.innerHTML = '<img alt="">';
  made.firstChild.src = source;
  made.setAttribute("aria-label", `${item.label}, picture ${column + 1} of ${count}`);
  made.setAttribute("aria-pressed", chosen[0] === row && chosen[1] === column);
  made.addEventListener("click", () => trigger("select", { row, column }));
  return made;
}

function line(item, row, heads, chosen) {
  const made = document.createElement("section");
  made.className = "ls-row";
  made.dataset.stage = item.stage;
  made.dataset.fade = item.fade;
  made.append(text("h4", item.label));
  const frames = document.createElement("div");
  frames.className = "ls-frames";
  frames.style.setProperty("--count", item.frames.length);
  frames.append(...item.frames.map((one, k) => frame(one, row, k, item, item.frames.length, chosen)));
  if (item.frames.length) made.append(frames);
  const numbers = document.createElement("dl");
  item.numbers.forEach(([number, best], k) => {
    const pair = document.createElement("div");
    const value = text("dd", number);
    value.dataset.best = best;
    pair.append(text("dt", heads[k][0]), value);
    numbers.append(pair);
  });
  made.append(numbers);
  return made;
}

function help(heads) {
  const made = document.createElement("details");
  made.append(text("summary", "How to read the numbers"));
  const list = document.createElement("dl");
  for (const [head, sentence] of heads) list.append(text("dt", head), text("dd", sentence));
  made.append(list);
  return made;
}

function paint() {
  const value = props.value || {};
  const rows = value.rows || [];
  const open = root.querySelector("details")?.open;
  if (!rows.length) {
    root.replaceChildren();
    return;
  }
  const head = document.createElement("div");
  head.className = "ls-row ls-heads";
  const titles = document.createElement("dl");
  titles.append(...value.heads.map(([title, sentence]) => {
    const made = text("div", title);
    made.title = sentence;
    return made;
  }));
  head.append(titles);
  head.setAttribute("aria-hidden", "true");
  root.dataset.frames = rows[0].frames.length > 0;
  root.replaceChildren(head, ...rows.map((item, row) => line(item, row, value.heads, value.chosen)), help(value.heads));
  root.querySelector("details").open = Boolean(open);
}
watch("value", paint);
paint();
