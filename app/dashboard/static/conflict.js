// Somebody else saved the experiment meanwhile: who, what they changed, and overwriting it only after saying so.
import { ApiError, api } from "./api.js";
import { ask } from "./dialog.js";

const at = (id) => document.getElementById(id);
const FIELDS = [
  "name", "get_context", "get_action", "get_reward", "set_reward", "advice_id", "delta_hours", "default_reward", "hourly_theta",
];

export class Conflict {
  constructor(exp, user) {
    this.exp = exp;
    this.user = user;
    this.revision = null;
  }

  hide() {
    at("conflict").hidden = true;
  }

  // `theirs` is the revision that was saved meanwhile, `ours` the one that this page began with.
  async show(theirs, ours, label) {
    this.revision = theirs;
    const [before, after] = await Promise.all([this.#read(ours), this.#read(theirs)]);
    const changed = FIELDS.filter((name) => before && after && JSON.stringify(before[name]) !== JSON.stringify(after[name]));
    this.who = !after || after.user !== this.user ? after?.user ?? "Somebody" : "You, in another window,";
    this.what = changed.map(label).join(", ");
    at("conflict-user").textContent = this.who;
    at("conflict-revision").textContent = theirs;
    at("conflict-fields").textContent = this.what && ` (changed: ${this.what})`;
    at("conflict-look").href = `/ui/experiments/${this.exp}/revisions/${theirs}?with=${ours}`;
    at("conflict").hidden = false;
  }

  // Whether to put this page's version in place of theirs.
  async confirmed() {
    const text = `What was changed there (${this.what || "nothing"}) is replaced by what stands here. `
      + `Revision ${this.revision} stays among the revisions.`;
    return ask(`Overwrite revision ${this.revision}?`, text, [["yes", "Overwrite"]]);
  }

  async #read(revision) {
    try {
      return await api("GET", `/exp/${this.exp}/revisions/${revision}`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return null;
    }
  }
}
