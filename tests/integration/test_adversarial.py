"""Adversarial networks on scikit-learn's digits, judged by a classifier that knows real ones."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from glial.data import TensorBatches
from glial.data.batches import Batch
from glial.models.dcgan import DCGANSettings
from glial.objectives import TwoPlayers
from glial.training import Loop, TrainSettings

CLASSES = 10
DIGITS = load_digits()
IMAGES = torch.tensor(DIGITS.images, dtype=torch.float32)[:, None] / 8 - 1
CODES = torch.tensor(DIGITS.target)
TRAIN, TEST = slice(0, 1200), slice(1200, None)


def flat(images):
    return images.flatten(1).numpy()


JUDGE = LogisticRegression(max_iter=300).fit(flat(IMAGES[TRAIN]), CODES[TRAIN])


def samples(*, conditional, epochs=20, **settings):
    """A thousand digits that a small network made up; a hundred of each class if it is told."""
    torch.manual_seed(0)
    kind = DCGANSettings(width=16, **settings)
    network = kind.build(0, CLASSES if conditional else 0, images=[[1, 8, 8]])
    rows = (IMAGES[TRAIN], CODES[TRAIN]) if conditional else (IMAGES[TRAIN],)
    network.start(*rows)
    usual = DCGANSettings.train_defaults("generate", 1200)
    train = TrainSettings(**{**usual, "epochs": epochs, "lr": 0.002})

    def drawn(batch, seed):
        one = network.draw(*batch.inputs, generator=torch.Generator().manual_seed(seed))
        return Batch(one.inputs, one.target)

    batches = TensorBatches(Batch(rows, CODES[TRAIN]), 64, seed=0, augment=drawn)
    loop = Loop(network, TwoPlayers(network, train, 0.002), batches, train)
    loop.run()
    network.load_state_dict(loop.final_weights())
    asked = torch.arange(1000) % CLASSES if conditional else None
    with torch.inference_mode():
        made = network.eval().sample(
            1000, generator=torch.Generator().manual_seed(1), classes=asked
        )
    return flat(made), asked


def test_all_ten_digits_are_made_up():
    made, _ = samples(conditional=False, epochs=30)
    shares = torch.bincount(torch.tensor(JUDGE.predict(made)), minlength=CLASSES) / len(made)
    assert shares.min() > 0.03
    assert JUDGE.predict_proba(made).max(axis=1).mean() > 0.65  # of even noise 0.4


def test_what_is_learnt_from_made_up_digits_holds_of_real_ones():
    made, asked = samples(conditional=True)
    assert JUDGE.score(made, asked) > 0.9
    learnt = LogisticRegression(max_iter=300).fit(made, asked)
    real = learnt.score(flat(IMAGES[TEST]), CODES[TEST])
    # Learnt from real digits it is 0.92, by chance 0.1.
    assert real > 0.8


@pytest.mark.parametrize("broken", [{"discriminator_lr_factor": 1e-9}])
def test_a_discriminator_that_does_not_learn_teaches_nothing(broken):
    made, asked = samples(conditional=True, epochs=10, **broken)
    assert JUDGE.score(made, asked) < 0.3
