"""From Python: attack a network of your own and get the tables that ``bench run`` writes."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .contracts import Attack, Category, Classifier, Data, Files, LabelScheme, Split, Threat
from .parameters import check, effective
from .plugins import Plugins
from .problems import UserError
from .results import Results, Store, load
from .runner import Run, pick_device
from .spec import Benchmark, Cell, Component, ModelHost, Plan, Precision, Source, ThreatTable, Training, Victim
from .spec.build import components
from .spec.plan import fed, skip_reason


def evaluate(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    attacks: Sequence[str | Mapping[str, Any] | Attack],
    threat: Threat | Mapping[str, Any] | Sequence[Threat | Mapping[str, Any]],
    *,
    scheme: LabelScheme | None = None,
    name: str = "network",
    seed: int = 0,
    batch_size: int = 128,
    precision: Precision = "full",
    device: str = "auto",
    folder: str | Path | None = None,
    doctor: bool = True,
    masking: bool = True,
) -> Results:
    """Attack ``network``, verify every adversarial image, and return the tables.

    ``network`` maps images (N, C, H, W) in [0, 1] to logits (N, K), or to outputs of ``scheme``; a
    ``Classifier``, which a defence makes, is taken as it is. ``images`` are uint8 or float32 in [0, 1],
    ``labels`` int64. An attack is a component's name, a TOML table as a mapping (``{"use": "native.pgd",
    "steps": 20}``), or an object; a threat is a ``Threat`` or a ``[[threat]]`` table as a mapping, which may
    hold several eps. With ``folder`` the records stay there, and a second call passes over what is finished.
    ``precision``, ``doctor`` and ``masking`` are those of ``[benchmark]``.

    Returns ``Results``: ``.table`` (a row per attack, threat and eps), ``.leaderboard``, ``.samples``.
    Raises ``UserError`` on input that cannot be run.
    """
    where = pick_device(device)
    classifier = network if isinstance(network, Classifier) else _classifier(network, images, scheme, where)
    split = _split(images, labels)
    data = Data(split, split, tuple(map(str, range(classifier.classes))))
    victim = _victim(classifier, data, name, seed)
    cells = [
        Cell(victim, attack, table, len(split), "first", skip_reason(victim, attack, table), precision=precision)
        for attack in _attacks(attacks)
        for table in _threats(threat)
    ]
    benchmark = Benchmark(
        seeds=(seed,),
        samples=len(split),
        sampling="first",
        batch_size=batch_size,
        precision=precision,
        doctor=doctor,
        masking=masking,
    )
    plan = Plan(name, Path.cwd() / "notebook", benchmark, fed(cells), Files(), {})
    if folder is not None:
        return _run(plan, Path(folder), where)
    temporary = Path(tempfile.mkdtemp(prefix="tiltyard-"))
    try:
        found = _run(plan, temporary, where)
    except BaseException:
        shutil.rmtree(temporary)
        raise
    weakref.finalize(found, shutil.rmtree, temporary)  # tables are read on first use
    return found


def _run(plan: Plan, folder: Path, device: torch.device) -> Results:
    store = Store(folder)
    with store.locked():
        Run(plan, store, device, lambda _: None)()
    return load(folder)


def _classifier(network: nn.Module, images: Tensor, scheme: LabelScheme | None, device: torch.device) -> Classifier:
    if scheme is None:
        with torch.no_grad():
            out = network.to(device).eval()(_split(images[:1], torch.zeros(1, dtype=torch.int64)).floats(device))
        if not isinstance(out, Tensor) or out.ndim != 2 or out.shape[1] < 2:
            raise UserError("network: must map images (N, C, H, W) to logits (N, K); for other outputs give a scheme")
        scheme = Category(out.shape[1])
    return Classifier(network, scheme)


def _split(images: Tensor, labels: Tensor) -> Split:
    try:
        return Split(images.cpu(), labels.cpu())
    except ValueError as error:
        raise UserError(f"images, labels: {error}") from error


def _victim(classifier: Classifier, data: Data, name: str, seed: int) -> Victim:
    """A victim that is there already: its defence hands out the classifier whatever the trainer could do."""
    digest = hashlib.sha256()
    for key, tensor in classifier.state_dict().items():
        digest.update(key.encode() + tensor.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    scheme = classifier.scheme
    return Victim(
        dataset=_given("dataset", "images", _Memory(data), data.test.sha256()),
        model=_given("model", name, lambda shape, head: classifier.network),
        source=Source(ModelHost(use=name, normalise="none")),
        labels=_given("labels", type(scheme).__name__, lambda classes, files: scheme),
        defence=_given("defence", type(classifier).__name__, lambda trainer: classifier, digest.hexdigest()),
        training=Training(),
        seed=seed,
    )


class _Memory:
    """A data set that is in memory."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.classes = len(data.classes)

    def __call__(self, files: Files) -> Data:
        return self.data


def _given(axis: str, label: str, content: Any, code: str = "") -> Component:
    identity = {"use": label, "parameters": {}, "distribution": "python", "version": axis, "code": code}
    return Component(label, label, content, identity)


def _attacks(attacks: Iterable[str | Mapping[str, Any] | Attack]) -> list[Component]:
    plugins = Plugins()
    tables = [{"use": one} if isinstance(one, str) else dict(one) for one in attacks if isinstance(one, (str, Mapping))]
    objects = [one for one in attacks if not isinstance(one, (str, Mapping))]
    named = components("attack", tables, plugins) if tables else []
    for one in objects:
        label = type(one).__name__
        parameters = effective(type(one), one, {})
        identity = {"use": label, "parameters": parameters, "distribution": "python", "version": "attack", "code": ""}
        named.append(Component(label, label, one, identity))
    return named


def _threats(given: Threat | Mapping[str, Any] | Sequence[Threat | Mapping[str, Any]]) -> list[ThreatTable]:
    several = [given] if isinstance(given, (Threat, Mapping)) else list(given)
    return [_threat(one) for one in several]


def _threat(given: Threat | Mapping[str, Any]) -> ThreatTable:
    if isinstance(given, Threat):
        given = {key: getattr(given, key) for key in ("norm", "eps", "goal", "knowledge", "units")}
    table, mistakes = check(ThreatTable, given)
    if table is None:
        raise UserError("; ".join(f"threat {'.'.join(map(str, loc))}: {message}" for loc, message in mistakes))
    if mistake := table.problem():
        raise UserError(f"threat: {mistake}")
    if table.knowledge != "adaptive":
        raise UserError(
            'threat: knowledge must be "adaptive"; only a benchmark file trains the network that others see'
        )
    return table
