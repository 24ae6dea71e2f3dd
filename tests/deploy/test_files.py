"""The files for deployment: parsed, held against their schemas, and run where that needs no container engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from app.config import SETTINGS
from tests.servers import Server

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
VARIABLES = {setting.variable for setting in SETTINGS}
MANIFESTS = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "thetaloop.yml").read_text()))
COMPOSE = yaml.safe_load((ROOT / "compose.yml").read_text())


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: str(manifest["kind"]))
def test_each_kubernetes_manifest_fits_its_schema(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, "1.30", strict=True)


def test_a_manifest_with_a_wrong_field_does_not_fit() -> None:
    broken = json.loads(json.dumps(MANIFESTS[0]))
    broken["spec"]["replica"] = 3
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.30", strict=True)


def test_every_setting_that_the_files_name_exists() -> None:
    files = [ROOT / "Dockerfile", ROOT / "compose.yml", *DEPLOY.rglob("*.*")]
    named = {name for path in files for name in re.findall(r"\bTHETALOOP_[A-Z_]+\b", path.read_text())}
    assert named
    assert named <= VARIABLES


def test_the_compose_file_fits_its_specification() -> None:
    text = (ROOT / "compose.yml").read_text()
    assert PyCompose.from_yaml(text).service_names() == ["mongo", "thetaloop"]
    with pytest.raises(ValueError, match="restartt"):
        PyCompose.from_yaml(text.replace("restart:", "restartt:"))


def test_compose_waits_for_the_primary_and_keeps_data_in_volumes() -> None:
    services = COMPOSE["services"]
    assert services["thetaloop"]["depends_on"] == {"mongo": {"condition": "service_healthy"}}
    assert set(COMPOSE["volumes"]) == {
        volume.partition(":")[0] for service in services.values() for volume in service["volumes"]
    }


def test_the_health_check_of_the_image_tells_a_server_from_none(server: Server) -> None:
    (check,) = re.findall(r"^    CMD python (-c .*)$", (ROOT / "Dockerfile").read_text(), re.M)
    port = server.url.rpartition(":")[2]
    for where, code in ((port, 0), ("9", 1)):
        command = f"{sys.executable} {check}".replace(":8080", f":{where}")
        assert subprocess.run(command, shell=True, stderr=subprocess.DEVNULL, check=False).returncode == code


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_unit_is_one_that_systemd_accepts_and_finds_well_confined(tmp_path: Path) -> None:
    unit = tmp_path / "thetaloop.service"
    text = (DEPLOY / "thetaloop.service").read_text()
    unit.write_text(re.sub(r"^(ExecStart=)\S+", rf"\g<1>{sys.executable}", text, flags=re.M))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    ours = [line for line in verified.stderr.splitlines() if "thetaloop" in line]
    assert (verified.returncode, ours) == (0, [])
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=45", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout + rated.stderr


def test_the_unit_leaves_the_sandbox_what_it_is_made_of() -> None:
    unit = (DEPLOY / "thetaloop.service").read_text()
    lines = [line for line in unit.splitlines() if not line.startswith("#")]
    assert not any(line.startswith(("RestrictNamespaces", "SystemCallFilter")) for line in lines)
    assert "NoNewPrivileges=yes" in lines
