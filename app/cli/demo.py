"""What ``thetaloop demo`` adds to ``serve``: an account, an experiment from each template, and some traffic."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

import msgspec

from app.domain.experiment import Experiment
from app.domain.requests import ActionRequest, RewardRequest
from app.domain.user import User
from app.secrets import kept_secret
from app.services.catalogue import Template
from app.services.services import Services

ACCOUNT = "demo"
_SHOWN = (0, 11, 20)  # the templates whose calls are printed
_VISITS, _VISITS_SHOWN = 40, 200
_AT_ONCE = 20
_FED_AT_ONCE = 4


async def prepared(services: Services, url: str) -> str:
    """Create the account, experiments and visits that are missing; return the text to print."""
    password = kept_secret(services.config.data_dir, "demo-password", 12)
    user = User(ACCOUNT, admin=True)
    if await services.store.users.find(ACCOUNT) is None:
        await services.accounts.add(ACCOUNT, password, admin=True)
    made = {experiment.name: experiment for experiment in await services.experiments.all(user)}
    known = [
        (made.get(each.title) or await services.experiments.create(user, each.draft(each.title)), each)
        for each in services.catalogue.all()
    ]
    turns = asyncio.Semaphore(_FED_AT_ONCE)
    await asyncio.gather(*(_feed(services, experiment, default, turns) for experiment, default in known))
    return "\n".join(
        [
            f"open {url}/ui/sign-in in a browser",
            f"sign in as {ACCOUNT} with the password {password}",
            f"{len(known)} experiments are there, each with some visits; paste these calls into another terminal:",
            *(
                line
                for experiment, default in known
                if default.id in _SHOWN
                for line in _calls(url, experiment, default)
            ),
            "",
            f"Signed in, {url}/exp lists all of them with their keys, and {url}/exp/defaults the templates they",
            "come from.",
        ]
    )


async def _feed(services: Services, experiment: Experiment, default: Template, turns: asyncio.Semaphore) -> None:
    """Call the experiment for simulated visitors, as its own get_context and get_reward describe them.

    Only for those that are missing, as an earlier demo may have been stopped half-way. Edited experiments get none.
    """
    visits = _VISITS_SHOWN if default.id in _SHOWN else _VISITS
    head = (await services.store.heads.find([experiment.id])).get(experiment.id)
    if head is None or head.revision > 1:
        return
    async with turns:
        for start in range(head.rewards, visits, _AT_ONCE):
            numbers = range(start, min(visits, start + _AT_ONCE))
            await asyncio.gather(*(_visit(services, experiment, number) for number in numbers))


async def _visit(services: Services, experiment: Experiment, number: int) -> None:
    live = await services.engine.get(experiment.id)
    context = await live.imagine("get_context", number)
    answer = await live.get_action(ActionRequest(context))
    reward = await live.imagine("get_reward", number, context, answer.action)
    if answer.advice_id is not None:
        await live.set_reward(RewardRequest(reward, advice_id=answer.advice_id))
    else:
        await live.set_reward(RewardRequest(reward, context=context, action=answer.action))


def _calls(url: str, experiment: Experiment, default: Template) -> list[str]:
    """Return two commands to paste: one for an action, one for its reward."""
    context = default.example.get("context", {})
    asked = urlencode({"key": experiment.key} | ({"context": _json(context)} if context else {}))
    rewarded = urlencode(
        {"key": experiment.key} | {k: _json(v) for k, v in ({"context": context} | default.example).items()}
    )
    return [
        "",
        f"  {experiment.name}",
        f"    curl '{url}/getaction/{experiment.id}?{asked}'",
        f"    curl '{url}/setreward/{experiment.id}?{rewarded}'",
    ]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
