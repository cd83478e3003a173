// A row or grid of pictures of which one is chosen.
const root = element.querySelector(".ls-choices");

function button(index) {
  const made = document.createElement("button");
  made.type = "button";
  made.innerHTML = '<img alt=""><span class="ls-label"></span>';
  made.addEventListener("click", () => trigger("select", { index }));
  return made;
}

function paint() {
  const value = props.value || {};
  const items = value.items || [];
  root.style.setProperty("--columns", value.columns || items.length || 1);
  root.classList.toggle("ls-grid", Boolean(value.grid));
  while (root.children.length > items.length) root.lastChild.remove();
  while (root.children.length < items.length) root.append(button(root.children.length));
  items.forEach((item, index) => {
    const made = root.children[index];
    const picture = made.querySelector("img");
    if (picture.getAttribute("src") !== item.src) picture.src = item.src;
    made.querySelector(".ls-label").textContent = value.grid ? "" : item.label;
    made.setAttribute("aria-label", item.label);
    made.setAttribute("aria-pressed", index === value.chosen);
    made.title = item.label;
  });
}
watch("value", paint);
paint();
