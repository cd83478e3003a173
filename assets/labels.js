// Pictures to be marked as with or without something. All marks are here; each change is kept by the
// server as it is made, so that a reload loses nothing.
const root = element.querySelector(".ls-labels");
const PAGE = 60;
const SIDE = 96;
const NEXT = { "?": "1", 1: "0", 0: "?" };
const WORDS = { "?": "not marked", 1: "with", 0: "without" };

root.innerHTML = `
  <p class="ls-vacant" hidden>Choose a data set with pictures on the left; here you say which of them show something.</p>
  <div class="ls-label-body">
    <p class="ls-note">Click a picture: with, without, not marked. Shift-click marks all in between. Keys: arrows move, 1 with, 0 without, space turns.</p>
    <div class="ls-bar">
      <div class="ls-segments" role="group" aria-label="Which pictures are shown">
        ${[["", "All"], ["1", "With"], ["0", "Without"], ["?", "Not marked"]].map(([key, text]) => `<button type="button" data-filter="${key}">${text} <small></small></button>`).join("")}
      </div>
      <select aria-label="Begin with labels that are there"></select>
      <button type="button" data-clear>Clear</button>
      <button type="button" data-save class="ls-first">Save as data set</button>
    </div>
    <p class="ls-problem" role="alert" hidden></p>
    <div class="ls-label-grid" role="grid" aria-label="Pictures to mark"></div>
    <div class="ls-bar ls-pager"><button type="button" data-turn="-1">Previous</button><output></output><button type="button" data-turn="1">Next</button></div>
  </div>`;
const find = (selector) => root.querySelector(selector);
const grid = find(".ls-label-grid");

let set = "";
let marks = [];
let filter = "";
let rows = [];
let page = 0;
let anchor = -1;
let pending = Promise.resolve();
let unsent = {};
const thumbs = new Map();

function say(words) {
  find(".ls-problem").textContent = words || "";
  find(".ls-problem").hidden = !words;
}

async function ask(name, data) {
  const answer = await server[name]({ set, ...data }).catch(() => ({ error: "The server did not answer; mark the last pictures again." }));
  say(answer && answer.error);
  return answer && !answer.error ? answer : null;
}

function take(value) {
  const other = value.set !== set;
  set = value.set || "";
  marks = [...(value.marks || "")];
  if (other) {
    [page, filter, anchor] = [0, "", -1];
    thumbs.clear();
  }
  find(".ls-vacant").hidden = Boolean(set);
  find(".ls-label-body").hidden = !set;
  const choice = find("select");
  choice.hidden = !(value.attributes || []).length;
  choice.replaceChildren(new Option("Begin with…", ""), ...(value.attributes || []).map((name) => new Option(name.replaceAll("_", " "), name)));
  choose(filter);
}

// A filter keeps its pictures while they are marked: nothing jumps away under the hand.
function choose(key) {
  filter = key;
  rows = marks.map((_, row) => row).filter((row) => !filter || marks[row] === filter);
  page = Math.max(0, Math.min(page, Math.ceil(rows.length / PAGE) - 1));
  paint();
}

const here = () => rows.slice(page * PAGE, (page + 1) * PAGE);

function paint() {
  const shown = here();
  while (grid.children.length > shown.length) grid.lastChild.remove();
  while (grid.children.length < shown.length) grid.append(cell());
  shown.forEach((row, at) => {
    const made = grid.children[at];
    made.dataset.row = row;
    made.tabIndex = at === 0 ? 0 : -1;
    draw(made, row);
  });
  tell();
  fetchThumbs(shown);
}

function cell() {
  const made = document.createElement("button");
  made.type = "button";
  made.innerHTML = "<canvas></canvas><span></span>";
  made.addEventListener("click", (event) => click(Number(made.dataset.row), event.shiftKey));
  made.addEventListener("keydown", (event) => key(event, made));
  return made;
}

function draw(made, row) {
  made.dataset.mark = marks[row];
  const there = thumbs.get(row);
  const name = there ? there.name : `picture ${row + 1}`;
  made.querySelector("span").textContent = { 1: "with", 0: "without" }[marks[row]] || "";
  made.setAttribute("aria-label", `${name}: ${WORDS[marks[row]]}`);
  made.title = name;
  const canvas = made.querySelector("canvas");
  if (canvas.dataset.of === `${set} ${row}` && there) return;
  [canvas.width, canvas.height] = [SIDE, SIDE];
  delete canvas.dataset.of;
  if (!there) return;
  canvas.dataset.of = `${set} ${row}`;
  canvas.getContext("2d").drawImage(there.image, there.left, there.top, SIDE, SIDE, 0, 0, SIDE, SIDE);
}

async function fetchThumbs(shown) {
  const [missing, mine] = [shown.filter((row) => !thumbs.has(row)), set];
  if (!missing.length || !root.offsetParent) return;
  const answer = await ask("pictures", { rows: missing, size: SIDE });
  if (!answer || mine !== set) return;
  const image = new Image();
  image.src = answer.src;
  await image.decode();
  missing.forEach((row, at) => {
    const [left, top] = [(at % answer.columns) * SIDE, Math.floor(at / answer.columns) * SIDE];
    thumbs.set(row, { image, left, top, name: answer.names[at] });
  });
  for (const made of grid.children) draw(made, Number(made.dataset.row));
  root.dataset.painted = `${set} ${page}`;
}

function tell() {
  const count = (key) => marks.reduce((sum, mark) => sum + (mark === key), 0);
  for (const made of root.querySelectorAll("[data-filter]")) {
    const key = made.dataset.filter;
    made.setAttribute("aria-pressed", key === filter);
    made.querySelector("small").textContent = (key ? count(key) : marks.length).toLocaleString("en");
  }
  const pages = Math.max(1, Math.ceil(rows.length / PAGE));
  find(".ls-pager output").textContent = `Page ${page + 1} of ${pages}`;
  find(".ls-pager").hidden = pages < 2;
  root.dataset.marked = `${count("1")} ${count("0")}`;
}

// Marking.

function put(chosen, value) {
  for (const row of chosen) {
    marks[row] = value;
    unsent[row] = value;
  }
  for (const made of grid.children) draw(made, Number(made.dataset.row));
  tell();
  pending = pending.then(send);
}

async function send() {
  if (!Object.keys(unsent).length) return;
  const now = unsent;
  unsent = {};
  if (!(await ask("mark", { marks: now }))) unsent = { ...now, ...unsent };
}

function click(row, whole) {
  if (whole && anchor >= 0) {
    const [from, to] = [rows.indexOf(anchor), rows.indexOf(row)].sort((one, other) => one - other);
    if (from >= 0) put(rows.slice(from, to + 1), marks[anchor]);
    return;
  }
  put([row], NEXT[marks[row]]);
  anchor = row;
}

function key(event, made) {
  const at = [...grid.children].indexOf(made);
  const wide = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -wide, ArrowDown: wide };
  const row = Number(made.dataset.row);
  if (event.key in moves) {
    const next = grid.children[at + moves[event.key]];
    if (next) next.focus();
  } else if (event.key === "1" || event.key === "0") {
    put([row], event.key);
    anchor = row;
    if (made.nextSibling) made.nextSibling.focus();
  } else if (event.key === " ") {
    click(row, event.shiftKey);
  } else return;
  event.preventDefault();
}

for (const made of root.querySelectorAll("[data-filter]")) made.addEventListener("click", () => choose(made.dataset.filter));
for (const made of root.querySelectorAll("[data-turn]")) {
  made.addEventListener("click", () => {
    page = Math.max(0, Math.min(Math.ceil(rows.length / PAGE) - 1, page + Number(made.dataset.turn)));
    paint();
  });
}
find("select").addEventListener("change", async (event) => {
  const attribute = event.target.value;
  event.target.value = "";
  const answer = attribute && (await ask("begin_with", { attribute }));
  if (answer) take(answer);
});
find("[data-clear]").addEventListener("click", async () => {
  const answer = await ask("forget", {});
  if (answer) take(answer);
});
find("[data-save]").addEventListener("click", async () => {
  pending = pending.then(send);
  await pending;
  trigger("save", {});
});
new IntersectionObserver(() => set && fetchThumbs(here())).observe(root);
watch("value", () => take(props.value || {}));
take(props.value || {});
