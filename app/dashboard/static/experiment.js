// The page on which an experiment is written: its scripts, what is wrong with them, saving.
import { ApiError, announce, api, showErrors } from "./api.js";
import { differenceText } from "./diff.js";
import { Pane, loadMonaco, onMac, preferPlain, prefersPlain } from "./editor.js";
import { wireTrials } from "./try.js";

const CHECK_AFTER = 400;
const OPTIONS = ["name", "advice_id", "delta_hours", "default_reward", "hourly_theta"];
const form = document.getElementById("editor");
const at = (id) => document.getElementById(id);
const exp = form.dataset.experiment;
const panes = new Map([...form.querySelectorAll("textarea.code")].map((field) => [field.name, new Pane(field)]));
let revision = Number(form.dataset.revision);
let saving = false;

// What there is to save ---------------------------------------------------------------------------------------------

function scripts() {
  return Object.fromEntries([...panes].map(([name, pane]) => [name, pane.text]));
}

function options() {
  return Object.fromEntries(OPTIONS.map((name) => [name, value(form.elements[name])]));
}

function value(field) {
  return field.type === "checkbox" ? field.checked : field.value;
}

const present = () => ({ ...options(), ...scripts() });
let saved = present();

function changedNames() {
  return Object.entries(present()).filter(([name, now]) => saved[name] !== now).map(([name]) => name);
}

function showState() {
  const changes = changedNames();
  at("save-state").textContent = changes.length ? "There are unsaved changes" : "All changes are saved";
  document.querySelector(".save-bar").classList.toggle("dirty", changes.length > 0);
  at("review").disabled = !changes.length;
  const advice = form.elements.advice_id.checked;
  for (const field of [form.elements.delta_hours, form.elements.default_reward]) field.disabled = !advice;
  at("advice-options").classList.toggle("off", !advice);
}

// Checking while typing ---------------------------------------------------------------------------------------------

let checking = null;
let timer = 0;

function checkSoon() {
  clearTimeout(timer);
  timer = setTimeout(check, CHECK_AFTER);
}

async function check() {
  checking?.abort();
  checking = new AbortController();
  try {
    const { errors } = await api("POST", "/exp/check", { scripts: scripts() }, { signal: checking.signal });
    showFaults(errors);
  } catch (error) {
    if (error.name !== "AbortError" && !(error instanceof ApiError)) throw error;
  }
}

function showFaults(faults) {
  for (const [name, pane] of panes) {
    const ours = faults.filter((fault) => fault.script === name);
    const same = JSON.stringify(pane.faults) === JSON.stringify(ours);
    pane.mark(ours);
    if (!same || !ours.length) at(`faults-${name}`).replaceChildren(...ours.map(faultRow));
  }
}

// A fault as text; pressing it leads to its line.
function faultRow(fault) {
  const row = document.createElement("li");
  row.className = fault.severity === "warning" ? "warning" : "error";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "link";
  button.textContent = fault.column ? `Line ${fault.line}, column ${fault.column}` : `Line ${fault.line}`;
  button.addEventListener("click", () => goTo(fault));
  row.append(button, ` ${fault.severity === "warning" ? "Warning: " : ""}${fault.message}`);
  return row;
}

export function goTo(fault) {
  panes.get(fault.script)?.go(fault.line ?? 1, fault.column ?? 1);
}

// Saving ------------------------------------------------------------------------------------------------------------

async function save(replaced = revision) {
  if (saving) return;
  saving = true;
  const sent = present();
  const note = form.elements.note.value;
  at("save").disabled = true;
  forgetRefusal();
  at("conflict").hidden = true;
  try {
    const body = { ...sent, note, delta_hours: sent.delta_hours || 0 };
    if (!sent.advice_id && !isJson(sent.default_reward)) body.default_reward = {};  // it is of no use now
    await api("PUT", `/exp/${exp}`, body, { headers: { "If-Match": `"${replaced}"` } });
    revision = replaced + 1;
    saved = sent;
    form.elements.note.value = "";
    showSaved(sent, note);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    showRefusal(error);
  } finally {
    saving = false;
    at("save").disabled = false;
    showState();
  }
}

function isJson(text) {
  try {
    return Boolean(JSON.parse(text));
  } catch {
    return false;
  }
}

function showSaved(sent, note) {
  announce(`Saved as revision ${revision}`);
  at("title").textContent = sent.name;
  at("standing").textContent = `Revision ${revision}, saved by you just now`;
  document.title = document.title.replace(/^.* · /s, () => `${sent.name} · `);
  const row = document.createElement("li");
  const link = document.createElement("a");
  link.href = `/ui/experiments/${exp}/revisions/${revision}`;
  link.textContent = `Revision ${revision}`;
  const said = document.createElement("span");
  said.className = "note";
  said.textContent = note;
  const who = document.createElement("span");
  who.className = "muted";
  who.textContent = `${form.dataset.user}, just now`;
  row.append(link, " ", said, " ", who);
  at("revision-list").prepend(row);
  for (const snippet of document.querySelectorAll(".snippet")) {
    snippet.hidden = (snippet.dataset.advice === "yes") !== sent.advice_id;
  }
}

function showRefusal(error) {
  if (error.status === 412) {
    at("conflict-revision").textContent = error.detail.revision;
    at("conflict-look").href = `/ui/experiments/${exp}/revisions/${error.detail.revision}?with=${revision}`;
    at("conflict-overwrite").dataset.revision = error.detail.revision;
    at("conflict").hidden = false;
    return;
  }
  const name = error.detail.parameter;
  const option = OPTIONS.includes(name) ? form.elements[name] : null;
  // The page calls an option by its label.
  const label = (message) => (option ? message.replace(`${name}:`, `${option.labels[0].textContent}:`) : message);
  showErrors(at("save-errors"), error.messages.map(label));
  if (error.detail.errors) {
    showFaults(error.detail.errors);
    goTo(error.detail.errors[0]);
  } else if (option) {
    option.setAttribute("aria-invalid", "true");
    option.focus();
  }
}

// Why the last save was refused is no longer known to be true once something is changed.
function forgetRefusal() {
  showErrors(at("save-errors"), []);
  for (const name of OPTIONS) form.elements[name].removeAttribute("aria-invalid");
}

// Ready-made experiments --------------------------------------------------------------------------------------------

async function chosenDefault() {
  const select = at("default");
  at("fill").disabled = !select.value;
  at("default-summary").hidden = true;
  if (!select.value) return null;
  const found = await api("GET", `/exp/defaults/${select.value}`);
  if (at("default").value === select.value) {
    at("default-summary").textContent = found.summary;
    at("default-summary").hidden = false;
  }
  return found;
}

async function fill() {
  const found = await chosenDefault();
  if (!found) return;
  const lost = [...panes].some(([name, pane]) => pane.text.trim() && pane.text !== found[name]);
  const unsaved = [...panes.keys()].some((name) => saved[name] !== panes.get(name).text);
  const text = unsaved
    ? "Your unsaved changes to the scripts will be replaced."
    : `The scripts here will be replaced. Revision ${revision} keeps them once you save.`;
  if (lost && !(await ask(`Fill in ${found.name}?`, text, "Replace them"))) return;
  for (const [name, pane] of panes) pane.replace(found[name]);
  if (found.advice_id !== undefined) form.elements.advice_id.checked = found.advice_id;
  if (found.hourly_theta !== undefined) form.elements.hourly_theta.checked = found.hourly_theta;
  if (found.delta_hours !== undefined) form.elements.delta_hours.value = found.delta_hours;
  if (found.default_reward !== undefined) form.elements.default_reward.value = JSON.stringify(found.default_reward);
  showState();
  announce(`${found.name} is filled in, and not saved yet`);
}

function ask(title, text, yes) {
  const dialog = at("ask");
  at("ask-title").textContent = title;
  at("ask-text").textContent = text;
  at("ask-yes").textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

function review() {
  const shown = changedNames().flatMap((name) => {
    const title = document.createElement("h3");
    title.textContent = name;
    const text = differenceText(String(saved[name]), String(present()[name]));
    text.setAttribute("aria-label", `Changes of ${name}`);
    return [title, text];
  });
  at("changes-shown").replaceChildren(...shown);
  at("changes").showModal();
}

// Beginning ---------------------------------------------------------------------------------------------------------

async function enhance() {
  const plain = at("plain");
  plain.textContent = prefersPlain() ? "Use the code editor" : "Use plain text fields";
  plain.hidden = false;
  plain.addEventListener("click", () => {
    preferPlain(!prefersPlain());
    location.reload();
  });
  if (prefersPlain()) return;
  try {
    const monaco = await loadMonaco(form.dataset.monaco);
    for (const pane of panes.values()) pane.enhance(monaco);
    for (const key of onMac ? at("tab-hint").querySelectorAll("[data-mac]") : []) key.textContent = key.dataset.mac;
    at("tab-hint").hidden = false;
  } catch {
    // The fields do.
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  save();
});
document.addEventListener("input", (event) => {
  if (event.target.form !== form && !panes.has(event.target.name)) return;
  if (panes.has(event.target.name)) checkSoon();
  if (event.target.name !== "note") forgetRefusal();
  showState();
});
document.addEventListener("change", showState);
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "s") {
    event.preventDefault();
    save();
  }
}, true);
addEventListener("beforeunload", (event) => {
  if (changedNames().length) event.preventDefault();
});
at("default").addEventListener("change", chosenDefault);
at("fill").addEventListener("click", fill);
at("review").addEventListener("click", review);
at("conflict-overwrite").addEventListener("click", (event) => save(Number(event.target.dataset.revision)));

showState();
wireTrials({ exp, scripts, goTo, mark: showFaults });
check();
await enhance();
document.documentElement.dataset.ready = "";
