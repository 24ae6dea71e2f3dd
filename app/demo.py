"""What ``thetaloop demo`` adds to ``serve``: an account, ready-made experiments and some traffic."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

import msgspec

from app.domain.experiment import Experiment
from app.domain.user import User
from app.secrets import kept_secret
from app.services.catalogue import Default
from app.services.services import Services

ACCOUNT = "demo"
_CALLS = 200
_AT_ONCE = 20


async def prepared(services: Services, url: str) -> str:
    """Make what is missing; returns what to tell whoever started it."""
    password = kept_secret(services.config.data_dir, "demo-password", 12)
    user = User(ACCOUNT, admin=True)
    if await services.store.users.find(ACCOUNT) is None:
        await services.accounts.add(ACCOUNT, password, admin=True)
    there = {experiment.name for experiment in await services.experiments.all(user)}
    for default in services.catalogue.all():
        if default.title not in there:
            experiment = await services.experiments.create(user, default.draft(default.title))
            await _feed(services, experiment)
    made = {experiment.name: experiment for experiment in await services.experiments.all(user)}
    shown = [(made[default.title], default) for default in services.catalogue.all() if default.title in made]
    return "\n".join(
        [
            f"sign in as {ACCOUNT} with the password {password}",
            "try an experiment from another terminal:",
            *(line for experiment, default in shown for line in _calls(url, experiment, default)),
        ]
    )


async def _feed(services: Services, experiment: Experiment) -> None:
    """Let simulated visitors call the experiment, as its own get_context and get_reward describe them."""
    for start in range(0, _CALLS, _AT_ONCE):
        visits = (_visit(services, experiment, number) for number in range(start, start + _AT_ONCE))
        await asyncio.gather(*visits)


async def _visit(services: Services, experiment: Experiment, number: int) -> None:
    live = await services.engine.find(experiment.id)
    context = await live.imagine("get_context", number)
    answer = await live.get_action(context)
    reward = await live.imagine("get_reward", number, context, answer.action)
    if answer.advice_id is not None:
        await live.set_reward(reward, advice_id=answer.advice_id)
    else:
        await live.set_reward(reward, context=context, action=answer.action)


def _calls(url: str, experiment: Experiment, default: Default) -> list[str]:
    """Two commands that work as they are: an action, and a reward for one."""
    reward = urlencode({"key": experiment.key, "context": "{}"} | {k: _json(v) for k, v in default.example.items()})
    return [
        "",
        f"  {experiment.name}",
        f"    curl '{url}/getaction/{experiment.id}?key={experiment.key}'",
        f"    curl '{url}/setreward/{experiment.id}?{reward}'",
    ]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
