"""Code that calls an experiment, to be copied into a page, a program or a shell.

Context, action and reward in it are slots: the page puts in what was tried last, so that what is copied fits the
scripts.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.experiment import Experiment

_SLOTS = {"context": "{}", "action": '{"arm": "A"}', "reward": '{"value": 1}'}
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
async function thetaloop(call, parameters) {
  const response = await fetch(`@ORIGIN@/${call}/@ID@`, {
    method: "POST",
    body: JSON.stringify({ key: "@KEY@", ...parameters }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  return answer;
}

// When the page opens: say what you know about the visitor, and show what the action says.
const context = @context@;
const { @NAMES@ } = await thetaloop("getaction", { context });
console.log(action);

// When the visitor has reacted, or has not: once for each action.
await thetaloop("setreward", { @GIVEN@, reward: @reward@ });
"""
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
        "NAMES": "action, advice_id" if advice else "action",
        "GIVEN": "advice_id" if advice else "context, action",
        "DECIDED": 'advice_id=decision["advice_id"]' if advice else 'context=context, action=decision["action"]',
    }
    for name, value in facts.items():
        text = text.replace(f"@{name}@", value)
    return text.strip()


def _parts(text: str) -> tuple[tuple[str, str], ...]:
    """``(text, "")`` for what stands fast, ``(example, name)`` for a slot."""
    pieces = text.split("@")
    return tuple((_SLOTS[piece], piece) if number % 2 else (piece, "") for number, piece in enumerate(pieces) if piece)
