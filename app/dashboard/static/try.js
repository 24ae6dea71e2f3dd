// Trying an experiment: context, action, reward and what theta would become. Nothing of it is kept.
import { ApiError, api, showErrors } from "./api.js";
import { percent } from "./numbers.js";
import { paragraph, thetaParts } from "./theta.js";
import { folded } from "./values.js";

const at = (id) => document.getElementById(id);

export function wireTrials({ exp, scripts, checks }) {
  // The decision that a reward is for, until context, theta's start or get_action change.
  let advice = null;
  let decided = "";
  let busy = false;

  // One call; `show` puts its answer on the page, and gives the element that is to be in view then. `clear` takes what
  // an earlier call showed from the page, as it is no answer to this one.
  async function attempt(body, show, clear) {
    if (busy) return;
    busy = true;
    at("try").setAttribute("aria-busy", "true");
    showErrors(at("try-failed"), []);
    checks.showFailure(null);
    try {
      const answer = await api("POST", `/exp/${exp}/try`, { scripts: scripts(), ...start(), ...body });
      showLogs(answer);
      if (answer.failed) tellFailure(answer.failed);
      const news = show(answer);
      (answer.failed ? at("try-failed") : news)?.scrollIntoView({ block: "nearest" });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      clear();
      showErrors(at("try-failed"), [error.message]);
      at("try-failed").scrollIntoView({ block: "nearest" });
    } finally {
      busy = false;
      at("try").removeAttribute("aria-busy");
    }
  }

  function start() {
    const seed = at("try-seed").value.trim();
    return { start: document.querySelector("[name=try-start]:checked").value, ...(seed && { seed }) };
  }

  function tellFailure(failed) {
    const where = failed.line ? `In ${failed.script}, line ${failed.line}` : `In ${failed.script}`;
    showErrors(at("try-failed"), [`${where}: ${failed.message}`]);
    if (failed.source) {
      const source = document.createElement("pre");
      source.textContent = failed.source;
      at("try-failed").append(source);
    }
    if (!failed.line) return;
    checks.showFailure(failed);
    at("try-failed").append(pressable("Go to the line", () => checks.goTo(failed)));
  }

  function decide(run) {
    const decides = run.includes("get_action");
    const clear = () => decides && clearAction();
    const given = decides ? { context: objectText("try-context", "Context", clear) } : {};
    if (given.context === null) return;
    attempt({ run, ...given }, (answer) => {
      if (done(answer, "get_context")) at("try-context").value = pretty(answer.context);
      if (done(answer, "get_action")) showAction(answer);
      else clear();
      fillSlots();
      return decides ? at("try-action") : null;
    }, clear);
  }

  function showAction(answer) {
    advice = answer.advice_id ?? null;
    decided = scripts().get_action;
    at("try-action").replaceChildren(block(answer.action), note(chance(answer), answer.seed));
    at("try-action").dataset.action = JSON.stringify(answer.action);
    showTheta(answer.theta, "get_action changed no theta. Apply a reward to see what theta would become.");
  }

  function clearAction() {
    forget();
    at("try-action").replaceChildren(paragraph("No action."));
    delete at("try-action").dataset.action;
    clearTheta();
  }

  function clearTheta() {
    at("try-theta").replaceChildren(paragraph("No reward was applied."));
  }

  // Without a decision to go on from, one is made on the way.
  function learn(run) {
    if (decided !== scripts().get_action) forget();
    const clear = advice ? clearTheta : clearAction;
    const about = advice ? { advice_id: advice } : { context: objectText("try-context", "Context", clear) };
    const reward = run.includes("get_reward") ? {} : { reward: objectText("try-reward", "Reward", clearTheta) };
    if (about.context === null || reward.reward === null) return;
    const steps = advice ? run : ["get_action", ...run];
    attempt({ run: steps, ...about, ...reward }, (answer) => {
      if (done(answer, "get_action")) showAction(answer);
      else if (!advice) clearAction();
      if (done(answer, "get_reward")) at("try-reward").value = pretty(answer.reward);
      if (done(answer, "set_reward")) showTheta(answer.theta, "This reward would change no theta.");
      else if (run.includes("set_reward")) showTheta(answer.theta, "Nothing was learned: a script failed.");
      fillSlots();
      return run.includes("set_reward") ? at("try-theta") : null;
    }, clear);
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
  at("try").addEventListener("input", (event) => {
    event.target.removeAttribute("aria-invalid");
    fillSlots();
  });
}

// The text of a field that must hold a JSON object, or null after saying what is wrong with it.
function objectText(id, label, clear) {
  const field = at(id);
  let value = null;
  let reason = "";
  try {
    value = JSON.parse(field.value);
  } catch (error) {
    reason = ` (${error.message})`;
  }
  if (value !== null && typeof value === "object" && !Array.isArray(value)) return field.value;
  clear();
  field.setAttribute("aria-invalid", "true");
  showErrors(at("try-failed"), [`${label}: expected a JSON object such as {"age": 40}${reason}`]);
  field.focus();
  return null;
}

function showTheta(theta, nothing) {
  at("try-theta").replaceChildren(...thetaParts(theta, nothing));
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
  if (propensity === null && "propensity" in action) return "The propensity is no number from 0 to 1, so it would not be logged.";
  if (propensity === null) return "The action names no propensity.";
  return `The policy chooses this action with propensity ${propensity} (${percent(propensity)}).`;
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

function showLogs({ logs, debug, printed = [] }) {
  const parts = [];
  if (printed.length) parts.push(folded("Printed", plain(printed.map((row) => row.text).join("")), true));
  if (logs.length) parts.push(folded(`Would be logged (${logs.length})`, block(logs.map((row) => row.data))));
  if (debug.length) parts.push(folded(`Shown by self.debug (${debug.length})`, block(debug.map((row) => row.value))));
  at("try-shown").replaceChildren(...parts);
}

function plain(text) {
  const pre = document.createElement("pre");
  pre.className = "value";
  pre.textContent = text;
  return pre;
}

// What was tried last stands in the code to copy, in the words of its language.
function fillSlots() {
  const [context, reward] = [parsed(at("try-context").value), parsed(at("try-reward").value)];
  const action = parsed(at("try-action").dataset.action);
  const values = { context, reward, action, fallback: withoutPropensity(action), nothing: zeroed(reward) };
  for (const snippet of document.querySelectorAll(".snippet")) {
    for (const slot of snippet.querySelectorAll("[data-slot]")) {
      const value = values[slot.dataset.slot];
      if (value !== null && typeof value === "object") slot.textContent = inLanguage(value, snippet.dataset.language);
    }
  }
}

function withoutPropensity(action) {
  if (action === null || typeof action !== "object") return null;
  const { propensity, ...shown } = action;
  return shown;
}

// The reward of a visitor who does not react.
function zeroed(value) {
  if (typeof value === "number") return 0;
  if (typeof value === "boolean") return false;
  if (Array.isArray(value)) return value.map(zeroed);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, zeroed(part)]));
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
  // "</script>" in a value would end the script that it is pasted into.
  const text = JSON.stringify(value).replaceAll("</", "<\\/");
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
