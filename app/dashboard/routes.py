"""The pages, and their URL table."""

from __future__ import annotations

from tornado.web import HTTPError

from app.dashboard.assets import AssetHandler
from app.dashboard.base import HOME, SIGN_IN, PageHandler
from app.dashboard.pages.accounts import AccountPage, UsersPage
from app.dashboard.pages.editor import EditorPage, RevisionPage
from app.dashboard.pages.experiments import (
    DeleteExperimentPage,
    ExperimentsPage,
    NewExperimentPage,
    ResetExperimentPage,
)
from app.dashboard.pages.glossary import TERMS
from app.dashboard.pages.sign_in import SignInPage, SignOut
from app.http.base import Handler


class ToPages(Handler):
    """``/``: in a browser, the address of the server leads to its pages."""

    def get(self) -> None:
        """Redirect to the list of experiments."""
        self.redirect(HOME)

    head = get


class HelpPage(PageHandler):
    """``/ui/help``: how it works in a minute, and the glossary."""

    open = True

    def get(self) -> None:
        """The page."""
        self.show("help.html", terms=TERMS)


class NoPage(PageHandler):
    """Any other path under ``/ui``."""

    open = True

    async def prepare(self) -> None:
        """Answer 404, whatever the method."""
        await super().prepare()
        raise HTTPError(404)


ROUTES: list[tuple[str, type[Handler]]] = [
    (r"/(?:ui/?)?", ToPages),
    (r"/ui/assets/([0-9a-f]{12})/([A-Za-z0-9_./-]{1,100})", AssetHandler),
    (SIGN_IN, SignInPage),
    (r"/ui/sign-out", SignOut),
    (HOME, ExperimentsPage),
    (rf"{HOME}/new", NewExperimentPage),
    (rf"{HOME}/([0-9A-Za-z_-]{{1,64}})", EditorPage),
    (rf"{HOME}/([0-9A-Za-z_-]{{1,64}})/revisions/([0-9]{{1,9}})", RevisionPage),
    (rf"{HOME}/([0-9A-Za-z_-]{{1,64}})/delete", DeleteExperimentPage),
    (rf"{HOME}/([0-9A-Za-z_-]{{1,64}})/reset", ResetExperimentPage),
    (r"/ui/account", AccountPage),
    (r"/ui/users", UsersPage),
    (r"/ui/help", HelpPage),
    (r"/ui/.*", NoPage),
]
