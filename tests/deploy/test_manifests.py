"""What compose and Kubernetes are given: valid by schema, hardened, at one with the rest."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.doors import BODY_BYTES, OTHER, TOKEN, write_certificate, write_tokens
from tests.deploy.places import DEPLOY, program

KUBERNETES = "1.34"
FOLDER = DEPLOY / "kubernetes"
LISTED = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def resources() -> dict[str, dict[str, Any]]:
    """Return the manifests that kustomize takes, by kind."""
    files = [FOLDER / name for name in LISTED if name.endswith(".yaml")]
    found = [part for file in files for part in yaml.safe_load_all(file.read_text())]
    return {part["kind"]: part for part in found}


def containers() -> dict[str, dict[str, Any]]:
    """Return the containers of a pod by name."""
    spec = resources()["Deployment"]["spec"]["template"]["spec"]
    return {one["name"]: one for one in spec["containers"]}


def asked(file: Path) -> set[str]:
    """Return the environment that a file of ours asks for, leaving its remarks out."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    return set(re.findall(r'"?\$\{?((?:VIGIL|TRITON)_[A-Z_]+)', "\n".join(lines)))


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_compose_files_follow_the_compose_specification(name: str) -> None:
    spec = pytest.importorskip("compose_spec")
    import json

    spec.PyCompose.from_json(json.dumps(yaml.safe_load((DEPLOY / name).read_text()))).validate()


def test_the_compose_check_knows_a_mistake() -> None:
    spec = pytest.importorskip("compose_spec")
    with pytest.raises(ValueError, match="read_onli"):
        spec.PyCompose.from_json('{"services": {"proxy": {"image": "x", "read_onli": true}}}')


@pytest.mark.parametrize("name", [name for name in LISTED if name.endswith(".yaml")])
def test_manifests_follow_the_schemas_of_kubernetes(name: str) -> None:
    checker = pytest.importorskip("kubernetes_validate")
    for part in yaml.safe_load_all((FOLDER / name).read_text()):
        assert checker.validate(part, KUBERNETES, strict=True) == KUBERNETES


def test_the_manifest_check_knows_a_mistake() -> None:
    checker = pytest.importorskip("kubernetes_validate")
    wrong = resources()["Deployment"]
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(checker.ValidationError, match="readynessProbe"):
        checker.validate(wrong, KUBERNETES, strict=True)


def test_every_manifest_is_listed_and_nothing_else() -> None:
    beside = {"kustomization.yaml", "adapter.yaml"}  # the latter: values of another chart
    assert {path.name for path in FOLDER.glob("*.yaml")} - beside == set(LISTED) - {"../proxy"}


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_services_run_hardened(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert int(service["user"].split(":")[0]) > 0
    assert service["healthcheck"]["test"]
    assert ":" in service["image"]
    assert not service["image"].endswith(":latest")
    assert "privileged" not in service
    for volume in service["volumes"]:
        assert volume["type"] == "volume" or volume["read_only"] is True
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:") or port == "8443:8443"


@pytest.mark.parametrize("name", sorted(containers()))
def test_containers_run_hardened(name: str) -> None:
    container, pod = containers()[name], resources()["Deployment"]["spec"]["template"]["spec"]
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["runAsUser"] > 0
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    writable = {one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")}
    assert writable <= {"/tmp", "/dev/shm"}  # noqa: S108


def test_nobody_reaches_triton_past_the_proxy() -> None:
    assert {"--http-address=127.0.0.1", "--grpc-address=127.0.0.1"} <= set(
        containers()["triton"]["args"]
    )
    ports = {port for rule in resources()["NetworkPolicy"]["spec"]["ingress"]
             for port in (one["port"] for one in rule["ports"])}  # fmt: skip
    assert ports == {"api", "triton-metrics", "proxy-metrics"}
    assert resources()["Service"]["spec"]["ports"][0]["targetPort"] == "api"
    assert "outside" not in COMPOSE["services"]["triton"]["networks"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_an_update_never_takes_a_ready_pod_away_first() -> None:
    found = resources()
    rolling = found["Deployment"]["spec"]["strategy"]["rollingUpdate"]
    assert (rolling["maxUnavailable"], rolling["maxSurge"]) == (0, 1)
    assert found["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    assert found["HorizontalPodAutoscaler"]["spec"]["minReplicas"] >= 2
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for kind in ("PodDisruptionBudget", "Deployment"):
        assert found[kind]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert found["Service"]["spec"]["selector"].items() <= labels.items()


def test_the_autoscaler_asks_for_what_the_adapter_offers() -> None:
    (rule,) = yaml.safe_load((FOLDER / "adapter.yaml").read_text())["rules"]["custom"]
    (metric,) = resources()["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]


def test_proxy_and_server_get_all_that_they_ask_for() -> None:
    for name, file in (("proxy", "proxy/haproxy.cfg"), ("triton", "triton/start.sh")):
        wanted = asked(DEPLOY / file)
        assert wanted
        assert set(COMPOSE["services"][name]["environment"]) == wanted
        assert {one["name"] for one in containers()[name]["env"]} == wanted


def test_compose_and_kubernetes_run_the_same_releases() -> None:
    base = re.search(
        r"^FROM \S+:(\d+\.\d+)-py3(@\S+)?$", (DEPLOY / "triton/Dockerfile").read_text(), re.M
    )
    assert base is not None
    assert tuple(map(int, base[1].split("."))) >= (26, 4)  # shared memory of clients can be off
    for name in ("triton", "proxy"):
        assert containers()[name]["image"] == COMPOSE["services"][name]["image"]
    assert COMPOSE["services"]["triton"]["image"].endswith(f":{base[1]}")


def pulled(folder: Path) -> list[str]:
    """Return every image that a file of a folder like `deploy/` pulls, tag and all."""
    files = [folder / name for name in ("compose.yaml", "triton/Dockerfile")]
    text = "\n".join(file.read_text() for file in [*files, *folder.glob("kubernetes/*.yaml")])
    named = re.findall(r"^(?:FROM|[ -]*image:) *(\S+)", text, re.MULTILINE)
    return [image for image in named if not image.startswith("vigil-")]


def test_every_image_names_an_exact_release() -> None:
    images = pulled(DEPLOY)
    assert {image.split(":")[0].split("/")[-1] for image in images} == {
        "tritonserver", "haproxy", "prometheus", "node-exporter", "grafana",
    }  # fmt: skip
    for image in images:
        release = r"\d+\.\d+" if "nvcr.io" in image else r"v?\d+\.\d+\.\d+"  # NVIDIA has two parts
        assert re.fullmatch(rf"[\w./-]+:{release}(-\w+)?(@sha256:[0-9a-f]{{64}})?", image), image


@pytest.mark.parametrize("digest", ["sha256:" + "a1" * 32, "nothing"])
def test_one_command_pins_every_image_by_its_digest(digest: str, tmp_path: Path) -> None:
    """The registry is a stand-in: it gives every image one digest."""
    copy = tmp_path / "deploy"
    shutil.copytree(DEPLOY, copy, ignore=shutil.ignore_patterns("secrets"))
    (tmp_path / "docker").write_text(f'#!/bin/sh\necho "{digest}"\n')
    (tmp_path / "docker").chmod(0o755)
    before = pulled(copy)
    for _ in range(2):  # pinning what is pinned changes nothing
        ran = subprocess.run([str(copy / "pin.sh")], env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
                             capture_output=True, text=True, check=False)  # fmt: skip
        if digest == "nothing":
            assert (ran.returncode, pulled(copy)) == (2, before)
            assert "expected a digest, got 'nothing'" in ran.stderr
            return
        assert ran.returncode == 0, ran.stderr
        assert pulled(copy) == [f"{image.split('@')[0]}@{digest}" for image in before]
    assert (
        yaml.safe_load((copy / "compose.yaml").read_text())["services"].keys()
        == COMPOSE["services"].keys()
    )


@pytest.fixture(scope="module")
def rendered() -> list[dict[str, Any]]:
    """Return what kubectl makes of the folder, without a cluster."""
    ran = subprocess.run([program("kubectl", "kubernetes-client"), "kustomize", str(FOLDER)],
                         capture_output=True, text=True, check=False)  # fmt: skip
    if "must be a file" in ran.stderr:
        pytest.skip("this kubectl is older than 1.21 and knows no kustomization of folders")
    assert ran.returncode == 0, ran.stderr
    return [part for part in yaml.safe_load_all(ran.stdout) if part]


def test_kubectl_renders_every_manifest(rendered: list[dict[str, Any]]) -> None:
    """`kubectl apply --dry-run=client` asks a cluster for its schemas; rendering does not."""
    found = {part["kind"]: part for part in rendered}
    assert set(found) == {*resources(), "ConfigMap"}
    assert {part["metadata"].get("namespace") for part in rendered} == {None, "vigil"}
    spec = found["Deployment"]["spec"]["template"]["spec"]
    images = {one["name"]: one["image"] for one in spec["containers"]}
    assert images == {name: one["image"] for name, one in containers().items()}
    name = found["ConfigMap"]["metadata"]["name"]
    assert re.fullmatch(r"vigil-proxy-\w+", name), "a changed file must make new pods"
    assert {"name": "rules", "configMap": {"name": name}} in spec["volumes"]
    assert found["ConfigMap"]["data"]["haproxy.cfg"] == (DEPLOY / "proxy/haproxy.cfg").read_text()


def test_what_kubectl_renders_follows_the_schemas(rendered: list[dict[str, Any]]) -> None:
    checker = pytest.importorskip("kubernetes_validate")
    for part in rendered:
        assert checker.validate(part, KUBERNETES, strict=True) == KUBERNETES


def test_the_server_starts_restricted_and_without_memory_of_clients(tmp_path: Path) -> None:
    shim, key = tmp_path / "tritonserver", tmp_path / "key"
    shim.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    shim.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "VIGIL_REPOSITORY": "/models",
           "VIGIL_ADMIN_KEY": str(key), "VIGIL_BODY_BYTES": "9"}  # fmt: skip
    command = ["/bin/sh", str(DEPLOY / "triton/start.sh"), "--more"]
    for wrong in ("", "a b\n", "a:b\n"):
        key.write_text(wrong)
        ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert "expected letters" in ran.stderr
    key.write_text("secret\n")
    told = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    lines = told.stdout.splitlines()
    admin = "shared-memory,model-repository,statistics,trace,logging:x-vigil-admin=secret"
    assert f"--http-restricted-api={admin}" in lines
    assert f"--grpc-restricted-protocol={admin}" in lines
    assert {"--allow-client-shm=false", "--http-max-input-size=9", "--more"} <= set(lines)


@pytest.mark.parametrize("place", ["compose", "kubernetes"])
def test_the_proxy_accepts_its_file_in_the_deployed_environment(place: str, tmp_path: Path) -> None:
    pair, tokens = tmp_path / "pair.pem", tmp_path / "tokens"
    write_certificate(pair)
    write_tokens(tokens, {TOKEN: "a", OTHER: "b"})
    env = {"VIGIL_BODY_BYTES": str(BODY_BYTES)}
    if place == "compose":
        env |= COMPOSE["services"]["proxy"]["environment"]
        env |= {"TRITON_HTTP": "127.0.0.1:8000", "TRITON_GRPC": "127.0.0.1:8001"}
    else:
        env |= {one["name"]: one["value"] for one in containers()["proxy"]["env"]}
    env |= {"VIGIL_CERTIFICATE": str(pair), "VIGIL_TOKENS": str(tokens)}
    check = [program("haproxy", "haproxy"), "-c", "-f", str(DEPLOY / "proxy/haproxy.cfg")]
    ran = subprocess.run(check, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "WARNING" not in ran.stderr
