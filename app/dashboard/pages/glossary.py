"""The glossary: on the help page, and as explanations wherever a page uses a term.

A term on a page is a button that opens its explanation beside it. The browser does that by itself (``popover``), so it
works without JavaScript, with the keyboard, and closes with Escape.
"""

from __future__ import annotations

from tornado.escape import xhtml_escape

# Name: the short explanation shown in place, and more for the help page.
TERMS: dict[str, tuple[str, str]] = {
    "experiment": (
        "A question that you answer by trying things out on real visitors: which text, price or picture works best.",
        "It has a name, a key for the web page that calls it, and four short scripts that say how it decides and how "
        "it learns.",
    ),
    "context": (
        "What is known about a visitor before the decision: the time of day, the device, an age group.",
        "Your web page sends it with each request for an action. A policy that uses the context can learn that "
        "different visitors want different things. It may be empty.",
    ),
    "action": (
        "What the experiment decides to show: one of several texts, a price, a colour.",
        "Your web page asks for an action with getaction, and shows it. The possible values of an action are often "
        "called arms.",
    ),
    "arm": (
        "One of the options that an experiment chooses from.",
        "The name comes from slot machines, “one-armed bandits”: which of the arms pays best?",
    ),
    "reward": (
        "What came of the action, as a number: 1 for a click and 0 for none, or the money spent.",
        "Your web page reports it with setreward. The experiment learns from it, and counts each reward exactly once.",
    ),
    "policy": (
        "The rule that chooses the action, given the context and what was learned so far.",
        "A good policy tries everything enough to learn (exploration), and shows what works best most of the time "
        "(exploitation). Ready-made ones are there to begin with.",
    ),
    "theta": (
        "Everything the experiment has learned so far: the numbers that its policy keeps, written θ.",
        "For a simple test it may be the mean reward and the count of each arm. It changes with every reward and is "
        "kept in the database.",
    ),
    "propensity": (
        "The probability with which the policy chose the action that it chose.",
        "Keep it with each decision and you can later estimate fairly how another policy would have done on the same "
        "visitors. Over all arms the propensities add up to one.",
    ),
    "regret": (
        "How much reward was missed because the best action was not always chosen.",
        "It can only be computed where the best action is known, as in a simulation. A policy that learns has a "
        "regret that grows ever more slowly.",
    ),
    "decision": (
        "One answer to a request for an action, kept with its context and its propensity.",
        "Each is a row of the experiment's log, and can be executed again to the same action.",
    ),
    "advice id": (
        "A receipt for one decision. Your web page sends it back with the reward.",
        "With it the page need not repeat context and action, and a reward that is sent twice counts once.",
    ),
    "revision": (
        "One version of an experiment's scripts and options.",
        "Each time you save, a new one is made; the old ones stay, can be compared and brought back.",
    ),
}


def term_button(shown: dict[str, None], name: str, text: str = "") -> str:
    """A button that opens the explanation of a term; ``shown`` collects the terms that the page must explain."""
    shown[name] = None
    return (
        f'<button type="button" class="term" popovertarget="{_id(name)}" '
        f'aria-label="{xhtml_escape(text or name)}: what is this?">{xhtml_escape(text or name)}</button>'
    )


def terms_shown(shown: dict[str, None]) -> list[tuple[str, str, str]]:
    """Id, word and explanation of those a page uses."""
    return [(_id(name), name, TERMS[name][0]) for name in shown]


def _id(name: str) -> str:
    return "term-" + name.replace(" ", "-")
