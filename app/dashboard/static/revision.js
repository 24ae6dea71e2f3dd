// The page that compares two revisions: the scripts that differ, in an editor and as text.
import { differenceText } from "./diff.js";
import { loadMonaco, prefersPlain, showDifference } from "./editor.js";

const compared = [];
for (const section of document.querySelectorAll(".compared")) {
  const after = section.querySelector("[data-after]");
  const before = section.querySelector("[data-before]");
  if (!after || !before) continue;
  const text = differenceText(before.textContent, after.textContent);
  text.setAttribute("aria-label", `Difference of ${section.dataset.script}, line by line`);
  const details = document.createElement("details");
  details.open = true;
  const summary = document.createElement("summary");
  summary.textContent = "As text";
  details.append(summary, text);
  section.querySelector(".texts").prepend(details);
  compared.push({ section, before: before.textContent, after: after.textContent, details });
}

document.getElementById("with").addEventListener("change", (event) => event.target.form.submit());

if (compared.length && !prefersPlain()) {
  try {
    const monaco = await loadMonaco(document.getElementById("comparison").dataset.monaco);
    for (const { section, before, after, details } of compared) {
      const place = document.createElement("div");
      place.className = "monaco-place";
      section.querySelector("h2").after(place);
      showDifference(monaco, place, before, after, section.dataset.script);
      details.open = false;
    }
  } catch {
    // The text is there.
  }
}
