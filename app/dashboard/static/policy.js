// Whether scripts use another policy than before, and whether there is anything that the one before has learned.
import { ApiError, api } from "./api.js";

// The classes of the library that a text names, as "greedy.EpsilonGreedy".
function classes(text) {
  return [...new Set(text.match(/\b[a-z]\w*\.[A-Z]\w*/g) ?? [])].sort().join();
}

// A changed parameter is no other policy: only the classes are compared.
export function policyDiffers(before, after) {
  const named = (scripts) => classes(`${scripts.get_action}\n${scripts.set_reward}`.replace(/#.*/g, ""));
  return named(before) !== named(after);
}

export async function hasTheta(exp) {
  try {
    return Object.keys(await api("GET", `/stats/${exp}/currenttheta`)).length > 0;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return true;
  }
}
