"""Published networks through the two doors for one's own: a plugin file, and ``tiltyard.evaluate``."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import tiltyard
from tiltyard import Files, Threat
from tiltyard.problems import UserError
from tiltyard.results import load

EXAMPLES = Path(__file__).parents[2] / "benchmarks" / "published"


def _run(tmp_path: Path, data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from tiltyard.cli import main; main()", "run", *words]
    options = ["--data", str(data), "--results", str(tmp_path), "--device", "cpu"]
    return subprocess.run([*command, *options], capture_output=True, text=True, timeout=600, check=False)


def test_published_resnets_reproduce_their_accuracy_and_fall(tmp_path: Path, shared_data: Path) -> None:
    """Measured by the checkpoints' keepers on the same 1,017 images: 91.64 % and 92.82 %."""
    small = ["--set", "benchmark.samples=1017", "--only", "model=vision.resnet20", "--only", "attack=native.fgsm"]
    done = _run(tmp_path, shared_data, str(EXAMPLES / "cifar10.toml"), *small)
    assert done.returncode == 0, done.stderr
    table = load(tmp_path / "published_cifar10").table
    assert table["clean_accuracy"].tolist() == pytest.approx([0.9164] * 2, abs=1e-4)
    assert (table["robust_accuracy"] < 0.75).all()


def test_a_plugin_file_brings_a_network_and_the_reported_attack_is_reproduced(
    tmp_path: Path, shared_data: Path
) -> None:
    """The authors report PGD-40 successes of 100 % and 6.8 %; on 250 images 6.8 % has a standard error of 1.6."""
    words = [
        "--plugin",
        str(EXAMPLES / "networks.py"),
        "--set",
        "benchmark.samples=250",
        "--only",
        "attack=pgd as reported",
    ]
    done = _run(tmp_path, shared_data, str(EXAMPLES / "mnist.toml"), *words)
    assert done.returncode == 0, done.stderr
    rows = load(tmp_path / "published_mnist").table.set_index("model")
    assert rows.loc["lenet5 standard", "success_rate"] == 1
    assert 0.02 < rows.loc["lenet5 adversarially trained", "success_rate"] < 0.12
    assert rows["clean_accuracy"].min() > 0.97


@pytest.fixture(scope="module")
def lenet(shared_data: Path) -> nn.Module:
    spec = importlib.util.spec_from_file_location("networks_example", EXAMPLES / "networks.py")
    assert spec is not None
    assert spec.loader is not None
    networks = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = networks
    spec.loader.exec_module(networks)
    network: nn.Module = networks.LeNet5(1, 28, lambda features: nn.Linear(features, 10))
    path = shared_data / "checkpoints" / "mnist_advertorch_lenet5_clntrained.pt"
    state = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict({name.replace("linear2.", "head."): tensor for name, tensor in state.items()})
    return network


def test_both_doors_give_the_same_records(lenet: nn.Module, tmp_path: Path, shared_data: Path) -> None:
    from tiltyard_vision import datasets

    words = [
        "--plugin",
        str(EXAMPLES / "networks.py"),
        "--set",
        "benchmark.samples=60",
        "--set",
        "benchmark.batch_size=60",
    ]
    words += ["--only", "model=lenet5 standard", "--only", "attack=pgd as reported"]
    assert _run(tmp_path, shared_data, str(EXAMPLES / "mnist.toml"), *words).returncode == 0
    run = load(tmp_path / "published_mnist")
    test = datasets()["mnist"]()(Files((shared_data,))).test
    pgd = {"use": "native.pgd", "steps": 40, "step_size": 0.01, "random_start": False, "loss": "ce"}
    own = tiltyard.evaluate(lenet, test.images[:60], test.labels[:60], [pgd], Threat("linf", 0.3), device="cpu")
    assert list(own.table.columns) == list(run.table.columns)
    columns = ["sample", "label", "prediction", "success", "status", "forwards", "backwards"]
    assert own.samples[columns].equals(run.samples[columns])
    assert own.samples["distance"].tolist() == pytest.approx(run.samples["distance"].tolist(), abs=1e-5, nan_ok=True)


def test_evaluate_takes_names_tables_objects_floats_and_several_threats(tmp_path: Path) -> None:
    from toy import Descent

    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    images = torch.rand(12, 1, 8, 8)
    labels = network(images).argmax(1)
    threats = [Threat("linf", 0.1), {"norm": "linf", "eps": ["2/255", "1/2"], "goal": "targeted", "targets": "next"}]
    found = tiltyard.evaluate(
        network, images, labels, [{"use": "native.pgd", "steps": 5}, Descent()], threats, folder=tmp_path / "kept"
    )
    assert set(found.table["attack"]) == {"native.pgd", "Descent"}
    assert len(found.table) == 6
    assert (found.table["status"] == "done").all()
    assert (found.table["clean_accuracy"] == 1).all()
    assert load(tmp_path / "kept").table.equals(found.table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.full((4, 1, 8, 8), 200.0)}, r"lie in \[0, 1\]"),
        ({"labels": torch.zeros(4)}, "labels must be int64"),
        ({"attacks": ["native.pdg"]}, 'did you mean "native.pgd"'),
        ({"attacks": [{"use": "native.pgd", "stesp": 3}]}, 'did you mean "steps"'),
        ({"threat": Threat("linf", 8.0)}, "8/255, not 8"),
        ({"threat": {"norm": "linf", "eps": 0.1, "knowledge": "transfer"}}, "knowledge"),
        ({"network": nn.Conv2d(1, 2, 3)}, "logits"),
    ],
)
def test_evaluate_refuses_what_it_cannot_run(change: dict[str, object], message: str) -> None:
    given = {
        "network": nn.Sequential(nn.Flatten(), nn.Linear(64, 3)),
        "images": torch.rand(4, 1, 8, 8),
        "labels": torch.zeros(4, dtype=torch.int64),
        "attacks": ["native.pgd"],
        "threat": Threat("linf", 0.1),
    }
    with pytest.raises(UserError, match=message):
        tiltyard.evaluate(**(given | change))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["pickle", "shapes", "garbage", "names"])
def test_a_checkpoint_that_does_not_fit_exits_with_2_before_anything_runs(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "net.pt"
    if kind == "pickle":
        torch.save({"code": os.system}, path)
    elif kind == "shapes":
        torch.save({"1.weight": torch.zeros(9)}, path)
    elif kind == "names":
        torch.save({"nothing.like.it": torch.zeros(9)}, path)
    else:
        path.write_bytes(b"no checkpoint at all")
    (tmp_path / "x.toml").write_text(
        '[[dataset]]\nuse = "vision.digits"\n[[model]]\nuse = "vision.small_cnn"\nweights = "net.pt"\n'
        '[[attack]]\nuse = "native.fgsm"\n[[threat]]\nnorm = "linf"\neps = 0.1\n'
    )
    done = _run(tmp_path / "results", tmp_path, str(tmp_path / "x.toml"))
    assert done.returncode == 2
    words = {
        "pickle": "could run code",
        "shapes": "does not fit",
        "names": "unknown: nothing.like.it",
        "garbage": "net.pt",
    }
    assert words[kind] in done.stderr
    assert "Traceback" not in done.stderr
