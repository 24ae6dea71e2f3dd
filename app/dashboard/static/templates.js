// Loading a template into an experiment: its scripts, and the options that belong to them.
import { announce, api } from "./api.js";
import { ask } from "./dialog.js";

const at = (id) => document.getElementById(id);
const SCRIPTS = ["get_context", "get_action", "get_reward", "set_reward"];
// What a template has that says nothing of them: an earlier template's must not stay. Snapshots are the user's choice.
const OPTIONS = { advice_id: false, delta_hours: 0, default_reward: {} };

// `changed` is called once a template is loaded.
export function wireTemplates({ present, saved, fillIn, revision, changed }) {
  async function load() {
    const found = await chosen();
    if (!found) return;
    const fields = fieldsOf(found);
    const now = present();
    const lost = Object.keys(fields).filter((name) => !isBlank(name, now[name]) && now[name] !== fields[name]);
    const text = Object.keys(fields).some((name) => saved()[name] !== now[name])
      ? "Your unsaved changes to scripts and options will be replaced."
      : `The scripts and options here will be replaced. Revision ${revision()} keeps them once you save.`;
    if (lost.length && !(await ask(`Load ${found.name}?`, text, [["yes", "Load template"]]))) return;
    for (const [name, text] of Object.entries(fields)) fillIn(name, text);
    changed();
    announce(`${found.name} is loaded, and not saved yet`);
  }

  at("default").addEventListener("change", chosen);
  at("fill").addEventListener("click", load);
}

// The template that is chosen, with its summary on the page; null if none is.
async function chosen() {
  const select = at("default");
  at("fill").disabled = !select.value;
  at("default-summary").hidden = true;
  if (!select.value) return null;
  const id = select.value;
  const found = await api("GET", `/exp/defaults/${id}`);
  if (select.value === id) {
    at("default-summary").textContent = found.summary;
    at("default-summary").hidden = false;
  }
  return found;
}

// A template as the page's fields hold it.
function fieldsOf(template) {
  const options = { ...OPTIONS };
  for (const name of [...Object.keys(OPTIONS), "hourly_theta"]) if (name in template) options[name] = template[name];
  return {
    ...Object.fromEntries(SCRIPTS.map((name) => [name, template[name]])),
    ...options,
    delta_hours: String(options.delta_hours),
    default_reward: JSON.stringify(options.default_reward),
  };
}

function isBlank(name, value) {
  return SCRIPTS.includes(name) ? !value.trim() : value === false || ["", "0", "{}"].includes(value);
}
