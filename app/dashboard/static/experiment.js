// The page on which an experiment is written: its scripts, what is wrong with them, saving.
import { ApiError, announce, api, showErrors } from "./api.js";
import { Checks } from "./checks.js";
import { Conflict } from "./conflict.js";
import { ask } from "./dialog.js";
import { differenceText } from "./diff.js";
import { Draft } from "./draft.js";
import { Pane, loadMonaco, onMac, preferPlain, prefersPlain } from "./editor.js";
import { fitPanel } from "./fit.js";
import { hasTheta, policyDiffers } from "./policy.js";
import { wireTemplates } from "./templates.js";
import { wireTrials } from "./try.js";

const OPTIONS = ["name", "advice_id", "delta_hours", "default_reward", "hourly_theta"];
const form = document.getElementById("editor");
const at = (id) => document.getElementById(id);
const exp = form.dataset.experiment;
const panes = new Map([...form.querySelectorAll("textarea.code")].map((field) => [field.name, new Pane(field)]));
const checks = new Checks(panes);
const draft = new Draft(form.dataset.user, exp);
const conflict = new Conflict(exp, form.dataset.user);
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

// Put a value into a field or a script, as typing it would.
function fillIn(name, text) {
  const pane = panes.get(name);
  if (pane) {
    if (pane.text !== text) pane.replace(text);
    return;
  }
  const field = form.elements[name];
  if (field.type === "checkbox") field.checked = text;
  else field.value = text;
}

// Unsaved changes that outlive the page ------------------------------------------------------------------------------

// Whether leaving the page loses nothing, as for whoever has to sign in again.
let kept = false;

function keepDraft() {
  if (changedNames().length) {
    kept = draft.keep(present(), revision);
    return;
  }
  draft.drop();
  at("draft").hidden = true;
}

function restoreDraft() {
  const found = draft.find();
  if (!found) return;
  for (const [name, text] of Object.entries(found.fields)) if (name in saved) fillIn(name, text);
  if (!changedNames().length) {
    draft.drop();
    return;
  }
  at("draft-when").textContent = new Date(found.date).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  at("draft-revision").textContent = found.revision;
  at("draft-behind").hidden = found.revision === revision;
  at("draft").hidden = false;
  revision = found.revision;  // so that what others saved since is not overwritten unseen
  keepDraft();
  showState();
}

function discardDraft() {
  revision = Number(form.dataset.revision);
  for (const [name, text] of Object.entries(saved)) fillIn(name, text);
  draft.drop();
  at("draft").hidden = true;
  conflict.hide();
  showState();
  announce("Your unsaved changes were discarded");
}

// Saving ------------------------------------------------------------------------------------------------------------

// Save as the next revision of `replaced`.
async function save(replaced = revision) {
  if (saving) return;
  if (replaced === revision && !changedNames().length) {
    announce("There are no changes to save");
    return;
  }
  saving = true;
  at("save").disabled = true;
  try {
    const reset = await thetaChoice();
    if (reset === null) return;
    await put(present(), form.elements.note.value, replaced);
    if (reset) await resetTheta();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    await showRefusal(error);
  } finally {
    saving = false;
    at("save").disabled = false;
    showState();
  }
}

// Whether to reset theta after saving, or null to save nothing: another policy would go on from numbers that mean
// something else to it.
async function thetaChoice() {
  if (!policyDiffers(saved, present()) || !(await hasTheta(exp))) return false;
  const text = "These scripts use another policy than those that are saved. Theta holds what the saved ones have learned, "
    + "and the new policy may fail with it or misread it.";
  const answer = await ask("Keep theta?", text, [["reset", "Save and reset theta"], ["keep", "Save and keep theta"]]);
  return answer ? answer === "reset" : null;
}

async function resetTheta() {
  await api("GET", `/exp/${exp}/resetexperiment?key=${encodeURIComponent(form.dataset.key)}`);
  announce(`Saved as revision ${revision}, and theta was reset`);
}

async function put(sent, note, replaced) {
  forgetRefusal();
  conflict.hide();
  const body = { ...sent, note, delta_hours: sent.delta_hours || 0 };
  if (!sent.advice_id && !isJson(sent.default_reward)) body.default_reward = {};  // it is of no use now
  await api("PUT", `/exp/${exp}`, body, { headers: { "If-Match": `"${replaced}"` } });
  revision = replaced + 1;
  form.dataset.revision = revision;
  saved = sent;
  form.elements.note.value = "";
  keepDraft();
  showSaved(sent, note);
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

// What the page calls a field; a checkbox has a hint in its label, which is left out.
function labelOf(name) {
  const label = form.elements[name].labels[0];
  return (label.querySelector("span")?.firstChild ?? label).textContent;
}

async function showRefusal(error) {
  if (error.status === 412) {
    await conflict.show(error.detail.revision, revision, labelOf);
    return;
  }
  const name = error.detail.parameter;
  const option = OPTIONS.includes(name) ? form.elements[name] : null;
  // The page calls an option by its label.
  const label = (message) => (option ? message.replace(`${name}:`, `${labelOf(name)}:`) : message);
  showErrors(at("save-errors"), error.messages.map(label));
  if (error.detail.errors) {
    checks.show(error.detail.errors);
    checks.goTo(error.detail.errors[0]);
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
  if (panes.has(event.target.name)) {
    checks.soon();
    checks.forgetFailure(event.target.name);
  }
  if (event.target.name !== "note") forgetRefusal();
  keepDraft();
  showState();
});
document.addEventListener("change", showState);
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "s") {
    event.preventDefault();
    save();
  }
}, true);
let signedOut = false;
document.addEventListener("signedout", () => (signedOut = true));
addEventListener("beforeunload", (event) => {
  if (changedNames().length && !(signedOut && kept)) event.preventDefault();
});
at("draft-discard").addEventListener("click", discardDraft);
at("review").addEventListener("click", review);
at("conflict-overwrite").addEventListener("click", async () => {
  if (await conflict.confirmed()) save(conflict.revision);
});

showState();
fitPanel(at("try"), document.querySelector(".save-bar"));
wireTrials({ exp, scripts, checks });
wireTemplates({ present, saved: () => saved, fillIn, revision: () => revision, changed: () => { keepDraft(); showState(); } });
restoreDraft();
checks.now();
await enhance();
document.documentElement.dataset.ready = "";
