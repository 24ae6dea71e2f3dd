// Creating an experiment: a ready-made one is fetched from the API and sent back under the new name.
import { api } from "./api.js";
import { submit } from "./forms.js";

const form = document.getElementById("create");
const filter = document.getElementById("filter");
const filtered = document.getElementById("filtered");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit(form, create);
});

async function create() {
  const start = form.elements.start.value;
  const draft = start ? await api("GET", `/exp/defaults/${encodeURIComponent(start)}`) : {};
  return api("POST", "/exp", { ...draft, name: form.elements.name.value.trim() });
}

function narrow() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const group of form.querySelectorAll(".group")) {
    let here = 0;
    for (const choice of group.querySelectorAll(".choice")) {
      const text = choice.textContent.toLowerCase();
      choice.hidden = !words.every((word) => text.includes(word));
      if (!choice.hidden) here += 1;
    }
    group.hidden = here === 0;
    shown += here;
  }
  filtered.hidden = words.length === 0;
  filtered.textContent = shown === 0 ? "Nothing fits. Try another word." : `${shown} fit.`;
}

filter.addEventListener("input", narrow);
// Enter in the filter must not create anything.
filter.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
filter.closest(".filter").hidden = false;
