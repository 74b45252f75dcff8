"""The words of docs/performance.md; every number in it comes from perf.csv."""

NETWORKS = ("resnet18", "cifar10_resnet20", "mnist_advertorch_std")
"""Those that the page speaks of."""

INTRODUCTION = """\
# Performance

tiltyard's attacks beside those of other libraries: what they find, what they ask of the network, what they take.
Written by

```console
python benchmarks/perf/peers.py --data DIR --write docs/performance.md
```

(`--only 'cifar10_resnet20 pgd*'` measures some rows and leaves the others as they are, `--missing` those that are not
in `benchmarks/perf/perf.csv` yet. The other libraries come with the extra `dev`; `DIR` holds the test images and the
networks. Without `DIR` there are the digits of scikit-learn.)

**How it is measured.** All implementations of a row run one after the other in one process with one thread, in an
order that begins one later in each round; a ratio is the median over rounds of the seconds of the same round. Seconds
are the process's own on a processor (other processes do not count) and the clock's on an accelerator, after it has
finished. An implementation gets the same network, frozen and in eval mode, the same images (all of which the network
gets right, spread evenly over the test set), steps, step size and kind of start. PGD's step is 2.5 eps / steps.

**What is on whose account.** A peer is called as its users call it, on the plain network; being handed a frozen one
spares ART and foolbox the parameter gradients that they would compute otherwise. tiltyard is called by
`tiltyard.evaluate`, so that planning, hashing, guard, meters, two verdicts, records and tables are on its account and
not on the peers'. What peers return is judged by tiltyard like its own images: outside box or ball, or still right, is
no success. Robust accuracies that differ by one image count as equal: starts are random.

**Columns**
- **robust %**: images that hold at eps. eps is chosen for each network so that about half of them fall: the
  median distance of a search for the nearest image. **median**:
  median distance of attacks that look for the nearest image.
- **passes**: forwards + backwards per image.
- **by bare**: its time by that of 15 lines of PGD with as many gradients, which update the image and do nothing else. A
  row whose number of gradients is not given in advance has none.
- **tiltyard by it**: tiltyard's time by its time; below 1 tiltyard is faster.
- **tiltyard as it comes**: `native.pgd` with its own loss, the margin, and its own steps, which fall along a cosine.
- **tiltyard torchattacks.pgd**, **tiltyard art.pgd**: the libraries' attacks as [wrapped](wrapped.md), through the same
  door as native ones.
- **of the peak**: operations of its passes, counted, by its time and by what a product of two float32 matrices reaches.

**Networks.** `cifar10_resnet20` and `mnist_advertorch_std` (two convolutions) are published and
are those of [fidelity](fidelity.md). `resnet18` is trained for this table by `benchmarks/perf/resnet18.toml`, on a part
of the CIFAR-10 images and for minutes only: it is there for what its passes cost.

**What a peer does otherwise**
- torchattacks has no restarts for PGD; its `MultiAttack` of five is what its users take. Its C&W has no search for the
  constant and gets all steps in one run.
- adversarial-library's PGD does not look at its last image.
- ART looks along a line in each step of C&W, at a cost that lets it meet the small network only.
- ART's and torchattacks' AutoAttack are other sets of attacks than the authors'; only pyautoattack stands beside
  `native.standard`. On a processor the suite does not meet ResNet-18.
"""

STEPS = """
## One step

Seconds of one step on one image where no image falls, without what happens once per call: the difference between 51
steps and one. `bare, folded` is the bare loop on the network with batch normalisation folded into the convolutions, in
channels-last layout. A native step has the meters of the harness in it, and the network that the harness shows it.
"""

MEMORY = """
## Memory

Peak of resident memory (on an accelerator of allocated memory) during PGD above what the process holds with network,
images and libraries loaded, each in a fresh process, by the number of images in the batch.
"""

OPEN = """
## What stands in the way

- **PGD-20 at 0.40x.** Half of the images hold and take every step, so that two thirds of all passes are left; the rest
  would have to come from the passes themselves. Folding and channels last make one cheaper by a fifth on the processor
  of these rows, which knows neither AVX512 nor bfloat16 (the rows `bare` and `bare, folded` of [one step](#one-step)).
- **The suite at 0.35x.** An image that holds goes through all members, and the 5,000 queries of the last one are most
  of what it costs, here as there.
- **Memory at 0.1x.** Activations are those of one part of the batch. What is left is images: the clean ones, the best
  ones so far, those of the step and its gradient, a copy that the attack cannot spoil. On small networks they count; on
  ResNet-18 it is what does not grow with the batch: the rewritten copy of the network and the pass of the verdict.
- **Samples that leave** a search once they are broken, where few hold: on MNIST, at an eps that 12 % survive,
  `python benchmarks/perf/leaving.py --data DIR` spends 0.18 of the gradients of PGD with 5 x 10 steps and 0.15 of those
  of multi-targeted with 9 x 10; with `precision = "search_bf16"` 0.31 and 0.27, of which a part is the full-precision
  search of survivors. 0.0 % and 0.4 % of the words of the bfloat16 search were wrong.

## Open

Every row of `perf.csv` says in its `device` where it was measured. The program measures on CUDA where torch sees it,
with the device synchronised, and against the matrix product in TF32, as convolutions use it, and in bf16; `--scale 16`
gives it enough to do. While no row says `cuda`, that part has never been run, and the targets for an H200-class GPU
are open: PGD-20 on ResNet-18 at least three times as fast as torchattacks, and at least 45 % of the bf16 peak under
`torch.compile`.
"""
