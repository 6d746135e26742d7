"""What is packaged: the files that it names exist, and every form runs it with as few rights as it needs.

`make test-systemd` installs the package for real. The container and the cluster cannot be started here; what
is read of them is what would hurt most if it were wrong.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


@pytest.mark.parametrize("script", sorted((DEPLOY / "debian").glob("p*")), ids=lambda path: path.name)
def test_a_maintainer_script_can_be_run(script: Path) -> None:
    if script.suffix:
        pytest.fail("a file among the scripts that is none")

    assert script.stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", script], capture_output=True, check=False).stderr == b""


def test_all_that_the_debian_package_names_is_there() -> None:
    (package,) = documents(DEPLOY / "debian" / "nfpm.yaml")
    sources = [one["src"] for one in package["contents"]] + list(package["scripts"].values())
    own = [src for src in sources if not src.startswith(("$", "/"))]

    assert own
    assert [src for src in own if not (ROOT / src).exists()] == []


def test_what_people_edit_is_kept_on_an_upgrade() -> None:
    (package,) = documents(DEPLOY / "debian" / "nfpm.yaml")

    under_etc = [one for one in package["contents"] if one["dst"].startswith("/etc/")]

    assert {one.get("type") for one in under_etc} == {"config|noreplace"}


def test_two_nodes_of_the_compose_file_are_told_apart_and_write_nothing_of_their_own() -> None:
    (compose,) = documents(DEPLOY / "container" / "compose.yaml")
    nodes = {name: service for name, service in compose["services"].items() if name.startswith("node-")}

    assert len(nodes) == 2
    assert len({service["hostname"] for service in nodes.values()}) == 2
    for service in nodes.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}


def test_the_container_is_not_root_and_says_whether_it_is_well() -> None:
    lines = (DEPLOY / "container" / "Containerfile").read_text().splitlines()

    assert "USER 8480:8480" in lines
    assert any(line.startswith("HEALTHCHECK ") for line in lines)


def test_pods_are_two_with_the_rights_of_none() -> None:
    kinds = {document["kind"]: document for document in documents(DEPLOY / "kubernetes" / "alertd.yaml")}
    spec = kinds["StatefulSet"]["spec"]
    pod = spec["template"]["spec"]

    assert spec["replicas"] == 2
    assert kinds["PodDisruptionBudget"]["spec"]["minAvailable"] == 1
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    for container in pod["containers"] + pod["initContainers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    (container,) = pod["containers"]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
    labels = kinds["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
