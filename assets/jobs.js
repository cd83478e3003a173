// The training jobs. The script itself asks what changed, as long as somebody looks, so that nothing
// on the page is mounted anew: the plot keeps its zoom, the slider its place, the chosen sheet stays.
const root = element.querySelector(".ls-jobs");
const HIDDEN_PAUSE = 700;
const MOST_POINTS = 4000;
const SURE = 4000;
const DOORS = { swap: "open_swap", attributes: "open_attributes", interpolate: "open_interpolate" };

root.innerHTML = `
  <p class="ls-vacant" hidden>No training yet. Choose your pictures on the left, what shall be learnt on the right, and press “Start training”.</p>
  <div class="ls-job-list" role="group" aria-label="Jobs"></div>
  <p class="ls-problem ls-job-words" role="alert" hidden></p>
  <article class="ls-job" hidden>
    <header><h3></h3><span class="ls-badge"></span></header>
    <progress class="ls-progress" max="1"></progress>
    <p class="ls-job-status" aria-live="polite"></p>
    <div class="ls-deeds"></div>
    <div class="ls-job-error" hidden><p class="ls-problem" role="alert"></p><details><summary>What its process printed</summary><pre></pre></details></div>
    <section class="ls-sheets" hidden>
      <div class="ls-sheet-frame"><ol aria-hidden="true"></ol><img alt=""></div>
      <label class="ls-track-line"><span>Samples</span><input type="range" min="0" step="1" aria-label="Which sample sheet"><output></output></label>
    </section>
    <p class="ls-note ls-no-sheets" hidden></p>
    <section class="ls-curves" hidden>
      <div class="ls-bar"><h3 class="ls-title">Losses</h3>
        <label><span>Smoothing</span><input type="range" min="0" max="0.99" step="0.01" data-smooth></label>
        <label><input type="checkbox" data-log> Logarithmic</label></div>
      <div class="ls-plots"></div>
      <details class="ls-table"><summary>The same as a table</summary><table><thead><tr><th scope="col">Loss</th><th scope="col">now</th><th scope="col">lowest</th><th scope="col">at step</th></tr></thead><tbody></tbody></table></details>
    </section>
    <section class="ls-happened" hidden><h3 class="ls-title">What happened</h3><ul class="ls-told"></ul></section>
    <dl class="ls-facts"></dl>
  </article>`;

const find = (selector) => root.querySelector(selector);
const slider = find(".ls-track-line input");
const smooth = find("[data-smooth]");
const logarithmic = find("[data-log]");
const plots = find(".ls-plots");
const style = (name) => getComputedStyle(root).getPropertyValue(name).trim();

let chosen = ""; // The name of the job that is looked at; empty for the latest.
let seen = "";
let job = null;
let script = "";
let place = 0;
let curves = { steps: [], terms: {} };
let sheets = new Map();
let shownStep = -1; // Of the sheet that somebody chose; -1 follows the latest.
let asking = false;
let timer = 0;
let redraw = 0;

smooth.value = localStorage.getItem("ls-smoothing") || "0.8";
logarithmic.checked = localStorage.getItem("ls-logarithmic") === "true";

function make(tag, text, className) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function say(words) {
  find(".ls-job-words").textContent = words || "";
  find(".ls-job-words").hidden = !words;
}

// Looking.

async function look() {
  clearTimeout(timer);
  if (!element.isConnected) return;
  let wait = HIDDEN_PAUSE;
  if (root.offsetParent && !document.hidden && !asking) {
    asking = true;
    const answer = await server.look({ name: chosen, seen, place }).catch(() => null);
    asking = false;
    wait = (answer && answer.wait) || 5000;
    if (answer && !answer.error) take(answer);
  }
  clearTimeout(timer);
  timer = setTimeout(look, wait);
}

function take(answer) {
  script = answer.script;
  if (answer.seen) {
    seen = answer.seen;
    const other = !answer.job || !job || job.name !== answer.job.name;
    job = answer.job;
    if (other) forget();
    if (job) chosen = job.name;
    paintList(answer.jobs);
    paintJob();
    root.dataset.painted = job ? `${job.name} ${job.state}` : "none";
  }
  if (answer.news && job) hear(answer.news);
}

function forget() {
  [place, curves, sheets, shownStep] = [0, { steps: [], terms: {} }, new Map(), -1];
  find(".ls-sheet-frame img").removeAttribute("src");
}

function choose(name) {
  if (name === chosen) return;
  [chosen, seen] = [name, ""];
  say("");
  look();
}

function hear(news) {
  place = news.place;
  if (news.anew) curves = { steps: [], terms: {} };
  if (!news.steps.length) {
    if (news.anew) later();
    return;
  }
  // A run that went back to its last save takes steps again.
  let kept = curves.steps.length;
  while (kept && curves.steps[kept - 1] >= news.steps[0]) kept--;
  const before = kept;
  curves.steps = [...curves.steps.slice(0, kept), ...news.steps];
  for (const name of new Set([...Object.keys(curves.terms), ...Object.keys(news.terms)])) {
    const old = (curves.terms[name] || Array(before).fill(null)).slice(0, kept);
    curves.terms[name] = [...old, ...(news.terms[name] || Array(news.steps.length).fill(null))];
  }
  if (curves.steps.length > MOST_POINTS) thin();
  later();
}

function thin() {
  const held = curves.terms.held_out || [];
  const keep = curves.steps.map((_, at) => at % 2 === 0 || held[at] != null || at === curves.steps.length - 1);
  const left = (list) => list.filter((_, at) => keep[at]);
  curves.steps = left(curves.steps);
  for (const name of Object.keys(curves.terms)) curves.terms[name] = left(curves.terms[name]);
}

// The list, and one job.

function paintList(jobs) {
  const list = find(".ls-job-list");
  find(".ls-vacant").hidden = jobs.length > 0;
  while (list.children.length > jobs.length) list.lastChild.remove();
  while (list.children.length < jobs.length) {
    const row = make("button");
    row.type = "button";
    row.innerHTML = '<b></b><span class="ls-badge"></span><progress class="ls-progress" max="1"></progress><small></small>';
    row.addEventListener("click", () => choose(row.dataset.name));
    list.append(row);
  }
  jobs.forEach((one, at) => {
    const row = list.children[at];
    row.dataset.name = one.name;
    row.setAttribute("aria-pressed", Boolean(job) && one.name === job.name);
    row.querySelector("b").textContent = one.title;
    badge(row.querySelector(".ls-badge"), one);
    row.querySelector("progress").value = one.share;
    row.querySelector("small").textContent = one.left || one.when;
  });
}

function badge(where, one) {
  where.textContent = one.state;
  where.dataset.level = one.level;
}

function paintJob() {
  find(".ls-job").hidden = !job;
  if (!job) return;
  find(".ls-job h3").textContent = job.title;
  badge(find(".ls-job header .ls-badge"), job);
  find(".ls-job > progress").value = job.share;
  find(".ls-job-status").textContent = job.status;
  paintActs();
  find(".ls-job-error").hidden = !job.error;
  find(".ls-job-error p").textContent = job.error;
  find(".ls-job-error details").hidden = !job.log;
  find(".ls-job-error pre").textContent = job.log;
  find(".ls-happened").hidden = !job.notes.length;
  find(".ls-happened ul").replaceChildren(...job.notes.map((text) => make("li", text)));
  find(".ls-facts").replaceChildren(...job.facts.flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
  paintSheets();
}

function paintActs() {
  const buttons = job.verbs.map(([verb, words]) => act(verb, words));
  // What cannot be taken back stands last.
  const last = buttons.filter((one) => one.dataset.verb === "delete");
  const clone = job.clones ? [button("Clone with changes", () => trigger("clone", { name: job.name }))] : [];
  // In the order of the tabs.
  const tabs = Object.keys(DOORS);
  const ordered = [...job.opens].sort((one, other) => tabs.indexOf(one[0]) - tabs.indexOf(other[0]));
  const opens = ordered.map(([tab, words]) => {
    const made = button(`Open in ${words}`, () => trigger(DOORS[tab], { name: job.name }));
    made.classList.add("ls-first");
    return made;
  });
  if (job.checkpoint) opens.push(button("Its card", () => seek(job.checkpoint)));
  const all = [...opens, ...buttons.filter((one) => !last.includes(one)), ...clone, ...last];
  const now = all.map((one) => one.textContent).join();
  // A button that is about to be pressed must not be exchanged for its like.
  if (find(".ls-deeds").dataset.shown === `${job.name} ${now}`) return;
  find(".ls-deeds").dataset.shown = `${job.name} ${now}`;
  find(".ls-deeds").replaceChildren(...all);
}

// The tab Models lists its cards a moment after it is opened.
function seek(checkpoint, tries = 20) {
  if (tries === 20) trigger("card", { checkpoint });
  const cards = [...document.querySelectorAll(".ls-model-card")];
  const card = cards.find((one) => one.offsetParent && one.querySelector("code")?.textContent === checkpoint);
  if (card) card.scrollIntoView({ block: "center" });
  else if (tries) setTimeout(() => seek(checkpoint, tries - 1), 300);
}

function button(words, work) {
  const made = make("button", words);
  made.type = "button";
  made.addEventListener("click", work);
  return made;
}

function act(verb, words) {
  const made = button(words, async () => {
    if (verb === "delete" && !made.dataset.sure) {
      made.dataset.sure = "true";
      made.textContent = "Really delete it?";
      setTimeout(() => {
        delete made.dataset.sure;
        made.textContent = words;
      }, SURE);
      return;
    }
    made.disabled = true;
    const name = job.name;
    const answer = await server.act({ name, verb }).catch(() => ({ error: "The server did not answer; try it again." }));
    made.disabled = false;
    say(answer && answer.error);
    if (verb === "delete" && !(answer && answer.error)) chosen = "";
    find(".ls-deeds").dataset.shown = "";
    seen = "";
    look();
  });
  made.dataset.verb = verb;
  return made;
}

// Sample sheets.

function paintSheets() {
  const steps = job.sheets;
  find(".ls-sheets").hidden = !steps.length;
  const words = find(".ls-no-sheets");
  words.hidden = steps.length > 0;
  words.textContent = job.rows.length ? "The first samples are drawn at the first save." : "This method draws no samples while it trains.";
  if (!steps.length) return;
  const rows = find(".ls-sheet-frame ol");
  rows.replaceChildren(...job.rows.map((text) => make("li", text)));
  slider.max = steps.length - 1;
  const at = shownStep < 0 ? steps.length - 1 : steps.indexOf(shownStep);
  if (at < 0) shownStep = -1;
  slider.value = at < 0 ? steps.length - 1 : at;
  slider.disabled = steps.length < 2;
  showSheet(steps[Number(slider.value)]);
}

let wanted = -1;
async function showSheet(step) {
  const [mine, latest] = [job.name, step === job.sheets[job.sheets.length - 1]];
  find(".ls-track-line output").textContent = `step ${step.toLocaleString("en")}${latest ? ", latest" : ""}`;
  wanted = step;
  if (!sheets.has(step)) {
    const answer = await server.sheet({ name: mine, step }).catch(() => null);
    if (!answer || answer.error || !job || job.name !== mine) return;
    sheets.set(step, answer.src);
  }
  if (wanted !== step) return;
  const picture = find(".ls-sheet-frame img");
  if (picture.src !== sheets.get(step)) picture.src = sheets.get(step);
  picture.alt = `What the model does after ${step} steps`;
  root.dataset.sheet = step;
}

slider.addEventListener("input", () => {
  const at = Number(slider.value);
  shownStep = at === job.sheets.length - 1 ? -1 : job.sheets[at];
  showSheet(job.sheets[at]);
});

// Losses.

let loading = null;
function plotly() {
  if (window.Plotly) return Promise.resolve();
  loading = loading || new Promise((resolve, reject) => {
    const made = make("script");
    made.src = new URL(script, document.baseURI).href;
    made.onload = resolve;
    made.onerror = () => reject(new Error("plotly"));
    document.head.append(made);
  });
  return loading;
}

function later() {
  if (redraw) return;
  redraw = requestAnimationFrame(async () => {
    redraw = 0;
    find(".ls-curves").hidden = !curves.steps.length;
    if (!curves.steps.length) return;
    await plotly().catch(() => null);
    if (window.Plotly && root.offsetParent) draw();
  });
}

function smoothed(values, share) {
  let [mean, weight] = [0, 0];
  return values.map((value) => {
    if (value === null) return null;
    mean = share * mean + (1 - share) * value;
    weight = share * weight + (1 - share);
    return mean / weight;
  });
}

const labelOf = (name) => (name === "held_out" ? "On held-out pictures" : (name[0].toUpperCase() + name.slice(1)).replaceAll("_", " "));

function draw() {
  // A loss that is always 0 was switched off.
  const used = Object.keys(curves.terms).filter((name) => curves.terms[name].some((value) => value));
  const names = used.sort((one, other) => (other === "held_out") - (one === "held_out"));
  const columns = Math.max(1, Math.min(3, Math.floor(plots.clientWidth / 155)));
  const lines = Math.ceil(names.length / columns);
  const [accent, quiet, line] = ["--ls-accent", "--ls-quiet", "--ls-line"].map(style);
  const share = Number(smooth.value);
  const [traces, layout] = [[], {
    width: plots.clientWidth, height: 150 * lines + 24, margin: { l: 44, r: 8, t: 22, b: 26 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, annotations: [],
    font: { color: quiet, size: 10, family: "system-ui, sans-serif" }, uirevision: `${job.name} ${logarithmic.checked}`,
    hovermode: "x", dragmode: matchMedia("(pointer: fine)").matches ? "zoom" : false,
  }];
  names.forEach((name, at) => {
    const number = at ? at + 1 : "";
    const values = curves.terms[name];
    const there = values.filter((value) => value !== null);
    const few = name === "held_out";
    const common = { x: curves.steps, xaxis: `x${number}`, yaxis: `y${number}`, type: "scatter", connectgaps: few };
    if (!few && share) traces.push({ ...common, y: values, mode: "lines", line: { color: accent, width: 1 }, opacity: 0.25, hoverinfo: "skip" });
    traces.push({ ...common, y: few || !share ? values : smoothed(values, share), mode: few ? "lines+markers" : "lines",
      line: { color: accent, width: 1.6 }, marker: { size: 5 }, hovertemplate: "%{y:.4g}<extra></extra>" });
    const [column, row] = [at % columns, Math.floor(at / columns)];
    const [gapX, gapY] = [columns > 1 ? 0.075 : 0, lines > 1 ? 0.3 / lines : 0];
    const [wide, tall] = [(1 - gapX * (columns - 1)) / columns, (1 - gapY * (lines - 1)) / lines];
    const [left, top] = [column * (wide + gapX), 1 - row * (tall + gapY)];
    const axis = { gridcolor: line, zerolinecolor: line, automargin: false, tickfont: { size: 10 } };
    const log = logarithmic.checked && there.length > 0 && there.every((value) => value > 0);
    layout[`xaxis${number}`] = { ...axis, domain: [left, left + wide], anchor: `y${number}`, nticks: 4, ...(number ? { matches: "x" } : {}), showgrid: false };
    layout[`yaxis${number}`] = { ...axis, domain: [Math.max(0, top - tall), top], anchor: `x${number}`, nticks: 4, type: log ? "log" : "linear", fixedrange: true };
    layout.annotations.push({ text: labelOf(name), x: left, y: top, xref: "paper", yref: "paper", xanchor: "left", yanchor: "bottom", showarrow: false, font: { size: 12, color: quiet } });
  });
  Plotly.react(plots, traces, layout, { displayModeBar: false, responsive: false, doubleClick: "reset" });
  plots.dataset.points = curves.steps.length;
  paintTable(names);
}

function paintTable(names) {
  const rows = names.map((name) => {
    const values = curves.terms[name];
    let [now, best, at] = [null, Infinity, 0];
    values.forEach((value, place_) => {
      if (value === null) return;
      now = value;
      if (value < best) [best, at] = [value, curves.steps[place_]];
    });
    const row = make("tr");
    const head = make("th", labelOf(name));
    head.scope = "row";
    row.append(head, ...[now, best].map((value) => make("td", value === null ? "" : value.toPrecision(4))), make("td", String(at)));
    return row;
  });
  find(".ls-curves tbody").replaceChildren(...rows);
}

smooth.addEventListener("input", () => {
  localStorage.setItem("ls-smoothing", smooth.value);
  later();
});
logarithmic.addEventListener("change", () => {
  localStorage.setItem("ls-logarithmic", logarithmic.checked);
  later();
});
new ResizeObserver(() => curves.steps.length && later()).observe(plots);

function show() {
  const wish = (props.value || {}).show;
  if (wish) choose(wish);
}
watch("value", show);
show();
look();
