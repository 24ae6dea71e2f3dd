// A question in a dialog. Resolves to the value of the answer that was pressed, or "" if it was closed.
const at = (id) => document.getElementById(id);

// `answers` are [value, text] from left to right; the first is the one that is proposed.
export function ask(title, text, answers) {
  const dialog = at("ask");
  at("ask-title").textContent = title;
  at("ask-text").textContent = text;
  at("ask-answers").replaceChildren(...[...answers, ["", "Cancel"]].map(([value, label], place) => {
    const button = document.createElement("button");
    button.className = place === 0 ? "button primary" : "button";
    button.value = value;
    button.textContent = label;
    return button;
  }));
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true });
  });
}
