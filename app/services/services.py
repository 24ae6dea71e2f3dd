"""What handlers are given."""

from __future__ import annotations

from dataclasses import dataclass

from app.config import Config
from app.engine.api import EngineAPI, ExperimentAPI, ScriptChecker
from app.services.accounts import Accounts
from app.services.catalogue import Catalogue
from app.services.experiments import ExperimentService
from app.services.exports import ExportService
from app.services.files import FileService
from app.services.simulations import SimulationService
from app.services.statistics import Statistics
from app.services.trials import TrialService
from app.storage.store import Store

# Handlers of APIs name the live experiments that they get from ``Services.engine``, and know no engine.
__all__ = ["ExperimentAPI", "Services"]


@dataclass(frozen=True)
class Services:
    """The parts of the server that calls are passed on to."""

    config: Config
    store: Store
    engine: EngineAPI
    pool: ScriptChecker
    accounts: Accounts
    experiments: ExperimentService
    statistics: Statistics
    simulations: SimulationService
    trials: TrialService
    catalogue: Catalogue
    files: FileService
    exports: ExportService
