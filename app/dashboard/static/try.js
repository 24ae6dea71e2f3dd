// Trying an experiment: context, action, reward and what would be learned, without a trace.
import { ApiError, api, showErrors } from "./api.js";

const LONGEST = 160;
const at = (id) => document.getElementById(id);

export function wireTrials({ exp, scripts, goTo }) {
  // The decision that a reward is for, until context, theta's start or get_action change.
  let advice = null;
  let decided = "";
  let busy = false;

  // One call; `shown` puts its answer on the page, and gives the element that is to be in view then.
  async function attempt(body, shown) {
    if (busy) return;
    busy = true;
    at("try").setAttribute("aria-busy", "true");
    showErrors(at("try-failed"), []);
    try {
      const answer = await api("POST", `/exp/${exp}/try`, { scripts: scripts(), ...start(), ...body });
      showLogs(answer);
      if (answer.failed) showFailure(answer.failed);
      const news = shown(answer);
      (answer.failed ? at("try-failed") : news)?.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      showErrors(at("try-failed"), [error.message]);
    } finally {
      busy = false;
      at("try").removeAttribute("aria-busy");
    }
  }

  function start() {
    const seed = at("try-seed").value.trim();
    return { start: document.querySelector("[name=try-start]:checked").value, ...(seed && { seed }) };
  }

  function showFailure(failed) {
    const where = failed.line ? `In ${failed.script}, line ${failed.line}` : `In ${failed.script}`;
    showErrors(at("try-failed"), [`${where}: ${failed.message}`]);
    if (failed.source) {
      const source = document.createElement("pre");
      source.textContent = failed.source;
      at("try-failed").append(source);
    }
    if (failed.line) at("try-failed").append(pressable("Go to the line", () => goTo(failed)));
  }

  function decide(run) {
    attempt({ run, context: at("try-context").value }, (answer) => {
      if (done(answer, "get_context")) at("try-context").value = pretty(answer.context);
      if (done(answer, "get_action")) showAction(answer);
      fillSlots();
      return run.includes("get_action") ? at("try-action") : null;
    });
  }

  function showAction(answer) {
    advice = answer.advice_id ?? null;
    decided = scripts().get_action;
    at("try-action").replaceChildren(block(answer.action), note(chance(answer), answer.seed));
    at("try-action").dataset.action = JSON.stringify(answer.action);
    showTheta(answer.theta, "get_action changed no theta. Give a reward to see what would be learned from it.");
  }

  // Without a decision to go on from, one is made on the way.
  function learn(run) {
    if (decided !== scripts().get_action) forget();
    const about = advice ? { advice_id: advice } : { context: at("try-context").value };
    const steps = advice ? run : ["get_action", ...run];
    const reward = run.includes("get_reward") ? {} : { reward: at("try-reward").value };
    attempt({ run: steps, ...about, ...reward }, (answer) => {
      if (done(answer, "get_action")) showAction(answer);
      if (done(answer, "get_reward")) at("try-reward").value = pretty(answer.reward);
      if (done(answer, "set_reward")) showTheta(answer.theta, "This reward would change no theta.");
      else if (run.includes("set_reward")) showTheta(answer.theta, "Nothing was learned: a script failed.");
      fillSlots();
      return run.includes("set_reward") ? at("try-theta") : null;
    });
  }

  function forget() {
    advice = null;
  }

  at("try-get_context").addEventListener("click", () => decide(["get_context"]));
  at("try-get_action").addEventListener("click", () => decide(["get_action"]));
  at("try-get_reward").addEventListener("click", () => learn(["get_reward"]));
  at("try-set_reward").addEventListener("click", () => learn(["set_reward"]));
  at("try-context").addEventListener("input", forget);
  for (const radio of document.querySelectorAll("[name=try-start]")) radio.addEventListener("change", forget);
  at("try").addEventListener("input", fillSlots);
}

// Whether a script ran to its end in this trial.
function done(answer, script) {
  return answer.done.includes(script);
}

function pretty(value) {
  const text = JSON.stringify(value);
  return text.length < 40 ? text : JSON.stringify(value, null, 2);
}

function chance({ action, propensity }) {
  if (propensity === null && "propensity" in action) return "The propensity is no number from 0 to 1: it would not be logged.";
  if (propensity === null) return "The action names no propensity.";
  return `Propensity ${Number(propensity.toPrecision(4))}: the policy chooses it in ${percent(propensity)} of such visits.`;
}

function percent(share) {
  return `${Number((100 * share).toPrecision(3))} %`;
}

function note(text, seed) {
  const line = document.createElement("p");
  line.className = "hint";
  line.textContent = `${text} Seed ${seed}.`;
  return line;
}

function block(value) {
  const pre = document.createElement("pre");
  pre.className = "value";
  pre.textContent = JSON.stringify(value, null, 2);
  return pre;
}

function pressable(text, press) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button small";
  button.textContent = text;
  button.addEventListener("click", press);
  return button;
}

// Theta -------------------------------------------------------------------------------------------------------------

function showTheta(theta, nothing) {
  const parts = [];
  if (theta.changes.length) parts.push(changesTable(theta.changes));
  else parts.push(paragraph(nothing));
  if (theta.more_changes) parts.push(paragraph(`And ${theta.more_changes} more changes, too many to show.`));
  if (theta.after && Object.keys(theta.after).length) parts.push(folded("All of theta after it", block(theta.after)));
  at("try-theta").replaceChildren(...parts);
}

function paragraph(text) {
  const line = document.createElement("p");
  line.className = "muted";
  line.textContent = text;
  return line;
}

function folded(title, content) {
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = title;
  details.append(summary, content);
  return details;
}

function changesTable(changes) {
  const table = document.createElement("table");
  table.className = "theta";
  const caption = table.createCaption();
  caption.className = "visually-hidden";
  caption.textContent = "What would change in theta";
  const head = table.createTHead().insertRow();
  for (const title of ["Theta", "Before", "After"]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = title;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const change of changes) for (const one of differences(change)) addRow(body, ...one);
  return table;
}

// What changed in one theta, field by field: its name, and how it read before and reads after.
function differences(change) {
  const where = [change.experiment, change.name === "_theta" ? "" : change.name, change.theta].filter(Boolean).join(" ");
  if (change.after === null) return [[where || "theta", short(change.before), "deleted"]];
  const before = change.before ?? {};
  const fields = [...new Set([...Object.keys(before), ...Object.keys(change.after)])];
  return fields
    .filter((field) => JSON.stringify(before[field]) !== JSON.stringify(change.after[field]))
    .map((field) => [[where, field].filter(Boolean).join(" · "), short(before[field]), short(change.after[field])]);
}

function short(value) {
  if (value === undefined) return "–";
  const text = typeof value === "number" ? String(Number(value.toPrecision(7))) : JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

function addRow(body, name, before, after) {
  const row = body.insertRow();
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  row.append(head);
  row.insertCell().textContent = before;
  const last = row.insertCell();
  last.textContent = after;
  last.className = "new";
}

function showLogs({ logs, debug }) {
  const parts = [];
  if (logs.length) parts.push(folded(`Would be logged (${logs.length})`, block(logs.map((row) => row.data))));
  if (debug.length) parts.push(folded(`Shown by self.debug (${debug.length})`, block(debug.map((row) => row.value))));
  at("try-shown").replaceChildren(...parts);
}

// What was tried last stands in the code to copy, in the words of its language.
function fillSlots() {
  const texts = { context: at("try-context").value, reward: at("try-reward").value, action: at("try-action").dataset.action };
  for (const snippet of document.querySelectorAll(".snippet")) {
    for (const slot of snippet.querySelectorAll("[data-slot]")) {
      const value = parsed(texts[slot.dataset.slot]);
      if (value !== null && typeof value === "object") slot.textContent = inLanguage(value, snippet.dataset.language);
    }
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function inLanguage(value, language) {
  if (language === "Python") return inPython(value);
  const text = JSON.stringify(value);
  return language === "curl" ? text.replaceAll("'", "'\\''") : text;
}

// JSON's text is Python's, but for three words.
function inPython(value) {
  if (Array.isArray(value)) return `[${value.map(inPython).join(", ")}]`;
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, part]) => `${JSON.stringify(name)}: ${inPython(part)}`).join(", ")}}`;
}
