"use strict";
// Without this script the report shows the input beside the result; with it, one over the other, and every stage.
document.documentElement.classList.add("scripted");

document.addEventListener("input", ({ target }) => {
  if (target.matches(".compare input")) cut(target);
  if (target.matches(".views input")) show(target);
});

document.querySelectorAll(".compare input[type=range]").forEach(cut);
document.querySelectorAll(".views input:checked").forEach(show); // a reloaded report keeps its choices

function cut(range) {
  range.parentElement.style.setProperty("--cut", `${range.value}%`);
  range.setAttribute("aria-valuetext", `${range.value} % of the width shows the input`);
}

function show(radio) {
  const shown = radio.closest("section");
  for (const image of shown.querySelectorAll(".after img")) image.hidden = image.dataset.view !== radio.value;
  shown.querySelector(".after figcaption").textContent = radio.dataset.name;
}
