// What every page has: the choice of light and dark, copy buttons, forms that call the API.
import { dropAllDrafts } from "./draft.js";
import { wireForms } from "./forms.js";

const THEMES = { "": "as the system", light: "light", dark: "dark" };

function wireTheme() {
  const button = document.getElementById("theme");
  const name = document.getElementById("theme-name");
  const root = document.documentElement;
  const show = () => (name.textContent = THEMES[root.dataset.theme ?? ""]);
  button.addEventListener("click", () => {
    const order = Object.keys(THEMES);
    const next = order[(order.indexOf(root.dataset.theme ?? "") + 1) % order.length];
    if (next) root.dataset.theme = next;
    else delete root.dataset.theme;
    try {
      if (next) localStorage.setItem("theme", next);
      else localStorage.removeItem("theme");
    } catch {
      // Then the choice lasts as long as the page.
    }
    show();
    document.dispatchEvent(new CustomEvent("themechange"));
  });
  show();
  button.hidden = false;
}

// Every `.copy` gets a button that copies the text of its <code>.
export function wireCopying(within = document) {
  for (const box of within.querySelectorAll(".copy:not([data-wired])")) {
    box.dataset.wired = "";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button small";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      const code = box.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        // No clipboard without https: select it, so that Ctrl+C does it.
        getSelection().selectAllChildren(code);
        button.textContent = "Press Ctrl+C";
      }
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
    box.append(button);
  }
}

document.querySelector('form[action="/ui/sign-out"]')?.addEventListener("submit", dropAllDrafts);
wireTheme();
wireCopying();
wireForms();
