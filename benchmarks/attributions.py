"""Time of methods that look into a network beside captum's, on the same network in one run.

A convolutional network with batch norm and pooling explains the same images by both; contestants
take turns, with one thread, and the median of the rounds counts. The largest difference between
their answers stands beside, as a share of the largest value; where captum's rule for maxima leaves
a gap (its own convergence delta), so does this difference.

    python benchmarks/attributions.py [--rounds 7] [--side 48] [--rows 8] [--methods saliency ...]
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from glial.cli.tables import print_table
from glial.explanation import networks as own


class Convolutional(nn.Module):
    """Three stages and a dense head, every activation a module of its own, as captum needs it."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
        )
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.hidden = nn.Linear(512, 64)
        self.relu = nn.ReLU()
        self.head = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Scores of ten classes."""
        pooled = self.pool(self.stages(images)).flatten(1)
        scores: Tensor = self.head(self.relu(self.hidden(pooled)))
        return scores


def contestants(rows: int, side: int) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """Of each method ours and captum's."""
    import captum.attr as theirs
    from captum.influence import TracInCP

    torch.manual_seed(0)
    net, images = Convolutional().eval(), torch.randn(rows, 3, side, side)
    classes = torch.arange(rows) % 10
    reference, background = torch.zeros(1, 3, side, side), torch.randn(5, 3, side, side)
    sequence = nn.Sequential(
        *(layer for layer in net.stages if not isinstance(layer, nn.MaxPool2d))
    )
    plain = nn.Sequential(
        sequence[0], sequence[2], sequence[3], sequence[5], nn.AdaptiveAvgPool2d(1)
    )
    flat = _Flat(plain)
    window, stride = (3, side // 6, side // 6), (3, side // 12, side // 12)
    training = torch.utils.data.TensorDataset(torch.randn(32, 3, side, side), torch.arange(32) % 10)

    def trace() -> Any:
        found = TracInCP(
            net, training, checkpoints=["now"], checkpoints_load_func=lambda m, c: 1.0,
            loss_fn=nn.CrossEntropyLoss(reduction="sum"), batch_size=32,
            sample_wise_grads_per_batch=True,
        )  # fmt: skip
        return found.influence((images, classes))

    def smooth() -> Any:
        tunnel = theirs.NoiseTunnel(theirs.Saliency(net))
        return tunnel.attribute(
            images, nt_type="smoothgrad", nt_samples=32, stdevs=0.15, target=classes, abs=False
        )

    return {
        "saliency": (
            lambda: own.saliency(net, images, classes).values[0],
            lambda: theirs.Saliency(net).attribute(images, target=classes),
        ),
        "input_x_gradient": (
            lambda: own.input_x_gradient(net, images, classes).values[0],
            lambda: theirs.InputXGradient(net).attribute(images, target=classes),
        ),
        "smooth_grad (32)": (lambda: own.smooth_grad(net, images, classes).values[0], smooth),
        "integrated_gradients (50)": (
            lambda: own.integrated_gradients(net, images, classes, steps=50).values[0],
            lambda: theirs.IntegratedGradients(net).attribute(
                images, target=classes, n_steps=50, internal_batch_size=64
            ),
        ),
        "deeplift": (
            lambda: own.deeplift(net, images, classes, reference=reference).values[0],
            lambda: theirs.DeepLift(net).attribute(images, reference, target=classes),
        ),
        "deep_shap (5)": (
            lambda: own.deep_shap(net, images, background, classes).values[0],
            lambda: theirs.DeepLiftShap(net).attribute(images, background, target=classes),
        ),
        "guided_backpropagation": (
            lambda: own.guided_backpropagation(net, images, classes).values[0],
            lambda: theirs.GuidedBackprop(net).attribute(images, target=classes),
        ),
        "deconvolution": (
            lambda: own.deconvolution(net, images, classes).values[0],
            lambda: theirs.Deconvolution(net).attribute(images, target=classes),
        ),
        "grad_cam": (
            lambda: own.grad_cam(net, images, classes, layer="stages.10").values[0][:, :1],
            lambda: theirs.LayerAttribution.interpolate(
                theirs.LayerGradCam(net, net.stages[10]).attribute(
                    images, target=classes, relu_attributions=True
                ),
                (side, side),
                "bilinear",
            ),
        ),
        "relevance (no pooling)": (
            lambda: own.relevance(flat, images, 0, epsilon=1e-9).values[0],
            lambda: theirs.LRP(flat).attribute(images, target=0),
        ),
        "occlusion": (
            lambda: own.occlusion(net, images, classes, window=window, stride=stride).values[0],
            lambda: theirs.Occlusion(net).attribute(
                images, window, stride, target=classes, perturbations_per_eval=64 // rows
            ),
        ),
        "influence (32 rows)": (
            lambda: own.influence(net, cross_entropy, training.tensors, (images, classes)),
            trace,
        ),
    }


class _Flat(nn.Module):
    def __init__(self, stages: nn.Sequential) -> None:
        super().__init__()
        self.stages = stages
        self.head = nn.Linear(32, 10)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.head(self.stages(images).flatten(1))
        return scores


def main() -> None:
    """Time the methods in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--side", type=int, default=48)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--methods", nargs="*", help="beginnings of names; all by default")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    table = []
    for name, pair in contestants(options.rows, options.side).items():
        if options.methods and not name.startswith(tuple(options.methods)):
            continue
        answers = [explain().detach() for explain in pair]  # a round that is not counted
        ratios = []
        for turn in range(options.rounds):
            seconds = [0.0, 0.0]
            for place in (0, 1) if turn % 2 else (1, 0):
                begin = time.perf_counter()
                pair[place]()
                seconds[place] = time.perf_counter() - begin
            ratios.append(seconds[1] / seconds[0])
        quarters = statistics.quantiles(ratios, n=4)
        differs = (answers[0] - answers[1]).abs().max() / answers[1].abs().max()
        spread = f"[{quarters[0]:.2f}, {quarters[2]:.2f}]"
        table.append([name, f"{statistics.median(ratios):.2f} {spread}", f"{float(differs):.1e}"])
    print_table(["method", "times as fast as captum", "largest difference"], table)


if __name__ == "__main__":
    main()
