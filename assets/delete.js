// Deletes a data set of the home, at the second press.
const root = element.querySelector(".ls-delete");
const SURE = 4000;
const button = document.createElement("button");
button.type = "button";
root.append(button);
let clock = 0;
let shown = "";

function calm() {
  clearTimeout(clock);
  clock = 0;
  button.textContent = "Delete this data set";
}

button.addEventListener("click", () => {
  if (clock) {
    calm();
    trigger("remove", {});
    return;
  }
  button.textContent = `Really delete ${props.value.set}?`;
  clock = setTimeout(calm, SURE);
});

function paint() {
  const set = (props.value || {}).set || "";
  // What is told anew of the same set is no reason to ask again.
  if (set !== shown) calm();
  shown = set;
  root.hidden = !set;
}
calm();
watch("value", paint);
paint();
