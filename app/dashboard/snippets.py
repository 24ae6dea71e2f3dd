"""Code that calls an experiment, to be copied into a page, a program or a shell.

Context, action and reward in it are slots, which the page fills with what was tried last.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.experiment import Experiment

# ``fallback`` is an action without its propensity, ``nothing`` a reward of zero.
_SLOTS = {
    "context": "{}",
    "action": '{"arm": "A"}',
    "fallback": '{"arm": "A"}',
    "reward": '{"value": 1}',
    "nothing": '{"value": 0}',
}
_CURL = """\
# Ask for an action.
curl '@ORIGIN@/getaction/@ID@' -d '{"key": "@KEY@", "context": @context@}'

@TELL@
curl '@ORIGIN@/setreward/@ID@' -d '{"key": "@KEY@", @ABOUT@, "reward": @reward@}'
"""
_CURL_TELL = (
    "# Tell what came of it, with the context and the action.",
    "# Tell what came of it: put the advice_id of the answer in place of ADVICE_ID.",
)
_JAVASCRIPT = """\
<script type="module">
// Shown if the server cannot decide in time; such a visit is not part of the experiment.
const fallback = @fallback@;

// A name for one call: repeated under it, the call counts once.
function requestId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16).padStart(8, "0")).join("");
}

// Ask for an action, and once more if there is no answer within a second.
async function getAction(context) {
  const body = JSON.stringify({ key: "@KEY@", context, request_id: requestId() });
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      const signal = AbortSignal.timeout(1000);
      const response = await fetch("@ORIGIN@/getaction/@ID@", { method: "POST", body, signal });
      if (response.ok) return { context, ...(await response.json()) };
    } catch {
      // No answer: try again, then fall back.
    }
  }
  return { action: fallback, rewarded: true };
}

// Report a reward, the first one of a decision only. It is sent even while the visitor leaves the page.
function setReward(decision, reward) {
  if (decision.rewarded) return;
  decision.rewarded = true;
  const body = { key: "@KEY@", @GIVEN@, reward, request_id: requestId() };
  navigator.sendBeacon("@ORIGIN@/setreward/@ID@", JSON.stringify(body));
}

// When the page opens: say what you know about the visitor, and show what the action says.
getAction(@context@).then((decision) => {
  console.log(decision.action);
  // When the visitor reacts: put the element and the event that you count in place of these.
  document.addEventListener("click", () => setReward(decision, @reward@), { once: true });
@OTHERWISE@
});
</script>
"""
_OTHERWISE = (
    """\
  // When the visitor leaves without: what that is worth.
  addEventListener("pagehide", () => setReward(decision, @nothing@));""",
    "  // Without a reaction, the default reward is learned when the reward window is over.",
)
_PYTHON = """\
import json
import urllib.request


def thetaloop(call, **parameters):
    body = json.dumps({"key": "@KEY@", **parameters}).encode()
    with urllib.request.urlopen(f"@ORIGIN@/{call}/@ID@", body) as answer:
        return json.load(answer)


# Say what you know about the visitor, and show what the action says.
context = @context@
decision = thetaloop("getaction", context=context)
print(decision["action"])

# When the visitor has reacted, or has not: once for each action.
thetaloop("setreward", @DECIDED@, reward=@reward@)
"""


@dataclass(frozen=True)
class Snippet:
    """Code in one language: pieces of text, and between them the slots by their names."""

    language: str
    advice: bool
    parts: tuple[tuple[str, str], ...]


def snippets(origin: str, experiment: Experiment) -> list[Snippet]:
    """In each language one for experiments with advice ids, and one for those without."""
    return [
        Snippet(language, advice, _parts(_filled(text, origin, experiment, advice)))
        for language, text in {"curl": _CURL, "JavaScript": _JAVASCRIPT, "Python": _PYTHON}.items()
        for advice in (True, False)
    ]


def _filled(text: str, origin: str, experiment: Experiment, advice: bool) -> str:
    facts = {
        "ORIGIN": origin,
        "ID": experiment.id,
        "KEY": experiment.key,
        "TELL": _CURL_TELL[advice],
        "ABOUT": '"advice_id": "ADVICE_ID"' if advice else '"context": @context@, "action": @action@',
        "OTHERWISE": _OTHERWISE[advice],
        "GIVEN": "advice_id: decision.advice_id" if advice else "context: decision.context, action: decision.action",
        "DECIDED": 'advice_id=decision["advice_id"]' if advice else 'context=context, action=decision["action"]',
    }
    for name, value in facts.items():
        text = text.replace(f"@{name}@", value)
    return text.strip()


def _parts(text: str) -> tuple[tuple[str, str], ...]:
    """``(text, "")`` for what stands fast, ``(example, name)`` for a slot."""
    pieces = text.split("@")
    return tuple((_SLOTS[piece], piece) if number % 2 else (piece, "") for number, piece in enumerate(pieces) if piece)
