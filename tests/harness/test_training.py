"""Fits are deterministic, resumable, selected on held-out images, and refused when the file is not what it was."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file
from toy import Blobs

from tiltyard.contracts import Files, Incompatible
from tiltyard.problems import UserError
from tiltyard.results import Store, write_json
from tiltyard.spec import Training
from tiltyard.training import FitTrainer, fit
from tiltyard.training.augment import augment
from tiltyard.training.fit import learning_rate
from tiltyard.training.split import divide

CPU = torch.device("cpu")


def _trainer(made, folder: Path, epochs: list | None = None) -> FitTrainer:
    victim = made.cells[0].victim
    data = victim.dataset.object(Files())
    scheme = victim.labels.object(data.classes, Files())
    report = (lambda *_: None) if epochs is None else (lambda words, epoch: epochs.append((words, epoch)))
    return FitTrainer(victim, data, scheme, Store(folder), CPU, report)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    (path,) = folder.glob("fits/*/model.safetensors")
    return load_file(path)


def test_a_fit_learns_and_is_the_same_twice_and_does_not_depend_on_the_global_seed(planned, tmp_path: Path) -> None:
    made = planned(("epochs = 2", "epochs = 4"), ('use = "toy.linear"', 'use = "toy.linear"\ndropout = 0.5'))
    epochs: list = []
    _trainer(made, tmp_path / "a", epochs)()
    torch.manual_seed(99)
    state = torch.get_rng_state()
    _trainer(made, tmp_path / "b")()
    assert torch.equal(torch.get_rng_state(), state)
    first, second = _weights(tmp_path / "a"), _weights(tmp_path / "b")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert epochs[-1][1].validation_accuracy > 0.9
    assert epochs[-1][1].train_loss < epochs[0][1].train_loss
    third = planned(("epochs = 2", "epochs = 4"), ('name = "toy"', 'name = "toy"\nseeds = [1]'))
    _trainer(third, tmp_path / "c")()
    assert any(not torch.equal(first[name], value) for name, value in _weights(tmp_path / "c").items())


def test_a_fit_that_was_interrupted_comes_to_the_same_weights(planned, tmp_path: Path, monkeypatch) -> None:
    made = planned(("epochs = 2", "epochs = 4"), ('use = "toy.linear"', 'use = "toy.linear"\ndropout = 0.5'))
    _trainer(made, tmp_path / "whole")()

    def stop(words, epoch):
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    trainer = _trainer(made, tmp_path / "parts")
    trainer._report = stop
    with pytest.raises(KeyboardInterrupt):
        trainer()
    resumed: list = []
    _trainer(made, tmp_path / "parts", resumed)()
    assert [epoch.epoch for _, epoch in resumed] == [3, 4]
    first, second = _weights(tmp_path / "whole"), _weights(tmp_path / "parts")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_same_fit_is_loaded_and_not_trained_again(planned, tmp_path: Path) -> None:
    epochs: list = []
    one = _trainer(planned(), tmp_path, epochs)()
    two = _trainer(planned(), tmp_path, epochs)()
    assert len(epochs) == 2
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(one(x), two(x))
    assert not any(parameter.requires_grad for parameter in two.parameters())


def test_an_objective_is_a_fit_of_its_own_and_needs_a_key(planned, tmp_path: Path) -> None:
    trainer = _trainer(planned(), tmp_path)
    trainer()
    trainer(lambda classifier, x, y: 3 * classifier.loss(x, y), key="three times")
    assert len(list(tmp_path.glob("fits/*"))) == 2
    with pytest.raises(ValueError, match="needs a key"):
        trainer(lambda classifier, x, y: classifier.loss(x, y))


@pytest.mark.parametrize("damage", ["weights", "missing", "data", "accuracy", "codes"])
def test_a_fit_that_is_not_what_was_written_is_refused(planned, tmp_path: Path, damage: str) -> None:
    _trainer(planned(), tmp_path)()
    (weights,) = tmp_path.glob("fits/*/model.safetensors")
    record = weights.parent / "fit.json"
    content = json.loads(record.read_text())
    if damage == "weights":
        flipped = bytearray(weights.read_bytes())
        flipped[-1] ^= 1
        weights.write_bytes(bytes(flipped))
    elif damage == "codes":
        state = load_file(weights)
        state["scheme.codes"] += 1
        weights.write_bytes(save(state))
        write_json(record, content | {"sha256": hashlib.sha256(weights.read_bytes()).hexdigest()})
    elif damage == "missing":
        weights.unlink()
    elif damage == "data":
        write_json(record, content | {"data_sha256": "0" * 64})
    else:
        write_json(record, content | {"held_out_accuracy": 0.5})
    with pytest.raises(UserError, match="to train it again"):
        _trainer(planned(), tmp_path)()


def test_the_selected_epoch_is_the_best_on_held_out_images(planned, tmp_path: Path) -> None:
    made = planned(("lr = 0.05", 'lr = 0.05\nselect = "loss"'), ("epochs = 2", "epochs = 6"))
    epochs: list = []
    trainer = _trainer(made, tmp_path, epochs)
    classifier = trainer()
    _, held_out = trainer._splits
    loss, _ = fit._validate(classifier, held_out, 32, fit.own_loss)
    assert loss == pytest.approx(min(epoch.validation_loss for _, epoch in epochs), rel=1e-4)


def test_held_out_images_are_stratified_and_never_trained_on() -> None:
    train = Blobs(samples=400)(Files()).train
    fitted, held_out = divide(train, Training(validation=0.2), seed=3)
    assert torch.bincount(held_out.labels).tolist() == [20] * 4
    seen = {image.numpy().tobytes() for image in fitted.images}
    assert not any(image.numpy().tobytes() in seen for image in held_out.images)
    assert len(fitted) + len(held_out) == 400


@pytest.mark.parametrize("stratified", [True, False])
def test_a_fraction_keeps_the_held_out_images_and_takes_its_share_of_the_rest(stratified: bool) -> None:
    train = Blobs(samples=400)(Files()).train
    _, held = divide(train, Training(), seed=0)
    few, same = divide(train, Training(fraction=0.1, stratified=stratified), seed=0)
    assert torch.equal(held.images, same.images)
    assert len(few) == 36
    if stratified:
        assert torch.bincount(few.labels).tolist() == [9] * 4


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", [1, 1, 1, 1]),
        ("cosine", [1, 0.853553, 0.5, 0]),
        ("multistep", [1, 1, 0.1, 0.01]),
        ("one_cycle", [0, 0.833333, 0.714286, 0]),
    ],
)
def test_learning_rates(schedule: str, rates: list[float]) -> None:
    recipe = Training(lr=1.0, epochs=4, schedule=schedule, milestones=(2, 4))
    assert [learning_rate(recipe, done) for done in (0, 1, 2, 4)] == pytest.approx(rates, abs=1e-6)


def test_augmentation_shifts_and_mirrors_each_image_on_its_own() -> None:
    images = torch.rand(64, 1, 1, 1).expand(64, 3, 16, 16).clone()
    images[..., 0] = 0
    out = augment(images, ("flip",), torch.Generator().manual_seed(0))
    left, right = (out[..., 0] == 0).all(2).all(1), (out[..., -1] == 0).all(2).all(1)
    assert 16 < int(right.sum()) < 48
    assert (left ^ right).all()
    out = augment(torch.ones(64, 1, 16, 16), ("crop",), torch.Generator().manual_seed(0))
    kept = out.flatten(1).sum(1)
    assert kept.max() == 256
    assert kept.min() == 14 * 14
    assert len(kept.unique()) > 2


def test_a_loss_that_is_not_finite_stops_the_fit_with_a_sentence(planned, run) -> None:
    fine, _, results = run(planned(("lr = 0.05", "lr = 1e30")))
    assert not fine
    assert "lower training.lr" in results.table["reason"].iloc[0]


def test_mixed_precision_trains(planned, tmp_path: Path) -> None:
    epochs: list = []
    _trainer(planned(("lr = 0.05", "lr = 0.05\namp = true"), ("epochs = 2", "epochs = 4")), tmp_path, epochs)()
    assert epochs[-1][1].validation_accuracy > 0.9


def test_adamw_trains(planned, tmp_path: Path) -> None:
    epochs: list = []
    _trainer(planned(("lr = 0.05", 'lr = 0.01\noptimiser = "adamw"'), ("epochs = 2", "epochs = 4")), tmp_path, epochs)()
    assert epochs[-1][1].validation_accuracy > 0.9


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_given_weights_are_taken_as_they_are_or_trained_on_from(planned, tmp_path: Path, suffix: str) -> None:
    trained = _trainer(planned(("epochs = 2", "epochs = 4")), tmp_path / "first")()
    state = {f"module.{name}": tensor.contiguous() for name, tensor in trained.network[1].state_dict().items()}
    path = tmp_path / f"net{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save({"state_dict": state, "epoch": 4}, path)
    use = ('use = "toy.linear"', f'use = "toy.linear"\nweights = "{path.name}"\nrename = {{ "module." = "" }}')
    epochs: list = []
    given = _trainer(planned(use), tmp_path / "given", epochs)
    x = torch.rand(5, 1, 8, 8)
    assert torch.allclose(given()(x), trained(x), atol=1e-5)
    assert not epochs
    with pytest.raises(Incompatible, match="finetune = true"):
        given(lambda classifier, x, y: classifier.loss(x, y), key="other")
    tuned = ("lr = 0.05", "lr = 1e-6")
    _trainer(planned((use[0], f"{use[1]}\nfinetune = true"), tuned), tmp_path / "tuned", epochs)()
    assert len(epochs) == 2
    assert epochs[0][1].validation_accuracy > 0.9


def test_normalisation_is_inside_the_network(planned, tmp_path: Path) -> None:
    classifier = _trainer(planned(), tmp_path)()
    train = Blobs()(Files()).train
    normal = classifier.network[0](train.floats())
    assert float(normal.mean()) == pytest.approx(0, abs=1e-3)
    assert float(normal.std()) == pytest.approx(1, abs=1e-3)
    own = ('use = "toy.linear"', 'use = "toy.linear"\nnormalise = { mean = [0.5], std = [0.25] }')
    layer = _trainer(planned(own), tmp_path)().network[0]
    assert torch.equal(layer(torch.ones(1, 1, 2, 2)), torch.full((1, 1, 2, 2), 2.0))
    with pytest.raises(UserError, match="3 means and 3 deviations for 1 channels"):
        _trainer(planned(('use = "toy.linear"', 'use = "toy.linear"\nnormalise = "imagenet"')), tmp_path)()
