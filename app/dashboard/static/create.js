// Creating an experiment: a template or another experiment is fetched from the API and sent back under the new name.
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
  const spec = start ? await api("GET", `/${start}`) : {};
  return api("POST", "/exp", { ...spec, name: form.elements.name.value.trim() });
}

// Hide the templates that lack one of the words. The chosen one stays in sight, as it is what will be created.
function narrow() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let matching = 0;
  for (const group of form.querySelectorAll(".group:not(.always)")) {
    for (const choice of group.querySelectorAll(".choice")) {
      const text = choice.textContent.toLowerCase();
      const matches = words.every((word) => text.includes(word));
      choice.hidden = !matches && !choice.querySelector(":checked");
      if (matches) matching += 1;
    }
    group.hidden = !group.querySelector(".choice:not([hidden])");
  }
  filtered.hidden = words.length === 0;
  filtered.textContent = matching === 1 ? "1 template matches" : `${matching || "No"} templates match`;
}

filter.addEventListener("input", narrow);
form.addEventListener("change", narrow);
// Enter in the filter must not create anything.
filter.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
filter.closest(".filter").hidden = false;
