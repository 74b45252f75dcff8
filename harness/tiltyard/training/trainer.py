"""Fits on demand: what a defence asks for is loaded from the store, or trained and kept there."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..contracts import Category, Classifier, Data, Incompatible, LabelScheme, Objective, Split, pixels
from ..parameters import plain
from ..problems import UserError
from ..results import Store, alone, read_json, sha256, write, write_json
from ..spec import Victim
from ..spec.plan import fit_id
from .checkpoint import Checkpoints
from .fit import Epoch, fit, own_loss
from .network import build
from .split import divide

WEIGHTS, RECORD = "model.safetensors", "fit.json"
"""The files of a fit."""

CALIBRATION = 2048
"""Held-out images on which scores are calibrated and thresholds fitted, at most."""

REPRODUCED = 0.005
"""How far the held-out accuracy of a loaded network may be from what was recorded: rounding, not damage."""


class FitTrainer:
    """The ``Trainer`` of one victim."""

    def __init__(
        self,
        victim: Victim,
        data: Data,
        scheme: LabelScheme,
        store: Store,
        device: torch.device,
        report: Callable[[str, Epoch], None],
        trains: bool = True,
    ) -> None:
        self.scheme = scheme
        self._victim = victim
        self._data = data
        self._store = store
        self._device = device
        self._report = report
        self._trains = trains

    def __call__(self, objective: Objective | None = None, *, key: str = "") -> Classifier:
        """A trained classifier in eval mode, its parameters frozen: see ``contracts.Trainer``."""
        if objective is not None and not key:
            raise ValueError("an objective needs a key that names it with all its parameters")
        classifier = Classifier(build(self._victim, self._data, self.scheme), copy.deepcopy(self.scheme))
        classifier.to(self._device)
        if self._victim.source.trained:
            self._fit(classifier, objective or own_loss, key)
        elif objective is not None:
            raise Incompatible("the weights are given, so nothing can be trained; finetune = true trains on from them")
        else:
            self._calibrate(classifier)
        return classifier.eval().requires_grad_(False)

    @cached_property
    def held_out(self) -> tuple[Tensor, Tensor]:
        """Clean images in [0, 1] and labels that no network was fitted to, at most ``CALIBRATION`` of them."""
        split = self._splits[1]
        spread = torch.linspace(0, len(split) - 1, min(len(split), CALIBRATION)).long()
        chosen = split[spread]
        return pixels(chosen.images.to(self._device)), chosen.labels.to(self._device)

    @cached_property
    def _splits(self) -> tuple[Split, Split]:
        return divide(self._data.train, self._victim.training, self._victim.seed)

    def _fit(self, classifier: Classifier, objective: Objective, key: str) -> None:
        folder = self._store.fit(fit_id(self._victim, key))
        if self._loaded(classifier, folder):
            return
        if not self._trains:
            raise UserError(f"{folder / WEIGHTS}: there is no such fit, and none is made")
        with alone(folder):
            if not self._loaded(classifier, folder):  # which another worker may have made meanwhile
                self._make(classifier, objective, key, folder)

    def _loaded(self, classifier: Classifier, folder: Path) -> bool:
        known = read_json(folder / RECORD)
        if known is None:
            return False
        self._load(classifier, folder / WEIGHTS, known)
        return True

    def _make(self, classifier: Classifier, objective: Objective, key: str, folder: Path) -> None:
        weights = folder / WEIGHTS
        train, held_out = self._splits
        words = f"{self._victim.network_words}{f' · {key}' if key else ''}"
        checkpoints = Checkpoints(folder, self._device)
        history = fit(
            classifier,
            train,
            held_out,
            self._victim.training,
            objective,
            self._victim.seed,
            checkpoints,
            lambda epoch: self._report(words, epoch),
        )
        classifier.eval()
        self._calibrate(classifier)
        self._save(classifier, weights)
        content = {
            "words": words,
            "sha256": sha256(weights),
            "data_sha256": self._data.train.sha256(),
            "held_out_accuracy": self._accuracy(classifier),
            "held_out": len(held_out),
            "epochs": [asdict(epoch) for epoch in history],
            "identity": plain(self._victim.fit_identity | {"key": key}),
        }
        write_json(folder / RECORD, content)
        checkpoints.clear()

    def _save(self, classifier: Classifier, path: Path) -> None:
        from safetensors.torch import save

        state = {name: tensor.contiguous().cpu() for name, tensor in classifier.state_dict().items()}
        write(path, save(state))

    def _load(self, classifier: Classifier, weights: Path, known: Mapping[str, Any]) -> None:
        """Load a fit; refuse one whose file, data or held-out accuracy is not what was recorded."""
        from safetensors.torch import load_file

        remedy = f"remove {weights.parent} to train it again" if self._trains else "it can not be judged"
        if not weights.exists() or sha256(weights) != known["sha256"]:
            raise UserError(f"{weights}: is not the file that was written; {remedy}")
        if self._data.train.sha256() != known["data_sha256"]:
            raise UserError(f"{weights}: was trained on other images than {self._victim.dataset.use} has now; {remedy}")
        state = load_file(weights)
        if not torch.equal(state["scheme.codes"], self.scheme.codes.cpu()):
            raise UserError(f"{weights}: was trained on other codes than {self._victim.labels.use} has now; {remedy}")
        classifier.load_state_dict(state)
        classifier.eval()
        if not self._trains:
            return  # whoever only judges asks about the clean images himself
        accuracy = self._accuracy(classifier)
        if abs(accuracy - known["held_out_accuracy"]) > REPRODUCED:
            raise UserError(
                f"{weights}: has a held-out accuracy of {accuracy:.4f}, recorded was "
                f"{known['held_out_accuracy']:.4f}; {remedy}"
            )

    @torch.no_grad()
    def _calibrate(self, classifier: Classifier) -> None:
        classifier.eval()
        if not isinstance(classifier.scheme, Category):
            images, _ = self.held_out
            classifier.scheme.calibrate(torch.cat([classifier.network(x) for x in images.split(128)]))

    @torch.no_grad()
    def _accuracy(self, classifier: Classifier) -> float:
        images, labels = self.held_out
        predictions = torch.cat([classifier(x).argmax(1) for x in images.split(128)])
        return float((predictions == labels).double().mean())
