// What is wrong with the scripts: found by the server's check while typing, or by a trial that failed.
import { ApiError, api } from "./api.js";

const CHECK_AFTER = 400;
const at = (id) => document.getElementById(id);

// `panes` are the scripts by their names.
export class Checks {
  #panes;
  #request = null;
  #timer = 0;
  #found = [];
  // Where a script failed in the last trial, as long as the script is the one that failed.
  #failure = null;

  constructor(panes) {
    this.#panes = panes;
  }

  soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.now(), CHECK_AFTER);
  }

  async now() {
    this.#request?.abort();
    this.#request = new AbortController();
    const scripts = Object.fromEntries([...this.#panes].map(([name, pane]) => [name, pane.text]));
    try {
      const { errors } = await api("POST", "/exp/check", { scripts }, { signal: this.#request.signal });
      this.show(errors);
    } catch (error) {
      if (error.name !== "AbortError" && !(error instanceof ApiError)) throw error;
    }
  }

  // Show these faults in place of those that were found before.
  show(faults) {
    this.#found = faults;
    this.#render();
  }

  // Mark the line that failed in a trial, or with null no line. What does not compile is told by the check already.
  showFailure(failed) {
    const known = failed && this.#found.some((fault) => fault.script === failed.script && fault.line === failed.line);
    this.#failure = failed && !known ? { ...failed, column: null, message: `in this trial: ${failed.message}` } : null;
    this.#render();
  }

  // A script was changed: it is no longer the one that failed.
  forgetFailure(script) {
    if (this.#failure?.script !== script) return;
    this.#failure = null;
    this.#render();
  }

  goTo(fault) {
    this.#panes.get(fault.script)?.go(fault.line ?? 1, fault.column ?? 1);
  }

  #render() {
    for (const [name, pane] of this.#panes) {
      const ours = [...this.#found, ...(this.#failure ? [this.#failure] : [])].filter((fault) => fault.script === name);
      const same = JSON.stringify(pane.faults) === JSON.stringify(ours);
      pane.mark(ours);
      if (!same || !ours.length) at(`faults-${name}`).replaceChildren(...ours.map((fault) => this.#row(fault)));
    }
  }

  // A fault as text; pressing it leads to its line.
  #row(fault) {
    const row = document.createElement("li");
    row.className = fault.severity === "warning" ? "warning" : "error";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link";
    button.textContent = fault.column ? `Line ${fault.line}, column ${fault.column}` : `Line ${fault.line}`;
    button.addEventListener("click", () => this.goTo(fault));
    row.append(button, ` ${fault.severity === "warning" ? "Warning: " : ""}${fault.message}`);
    return row;
  }
}
