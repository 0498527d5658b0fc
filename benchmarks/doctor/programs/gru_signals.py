"""Which of four kinds of signal is it? A GRU reads 40 samples."""
import sys
import math

import numpy as np
import torch
from torch import nn

seed = int(sys.argv[1])
rng = np.random.default_rng(seed)
torch.manual_seed(seed)


def make(n, length=30):
    t = np.arange(length) / length
    xs, ys = [], []
    for _ in range(n):
        kind = rng.integers(4)
        phase, f = rng.uniform(0, 2 * math.pi), rng.uniform(2, 4)
        wave = np.sin(2 * math.pi * f * t + phase)
        if kind == 1:
            wave = np.sign(wave)
        elif kind == 2:
            wave = np.sin(4 * math.pi * f * t + phase)
        elif kind == 3:
            wave = wave * t * 1.7
        xs.append(wave + rng.normal(0, 0.15, length))
        ys.append(kind)
    return torch.tensor(np.array(xs), dtype=torch.float32)[..., None], torch.tensor(ys)


seq_train, lab_train = make(600)
seq_test, lab_test = make(300)


class Reader(nn.Module):
    def __init__(self, hidden=32, classes=4):
        super().__init__()
        self.gru = nn.GRU(1, hidden, batch_first=True)
        self.out = nn.Linear(hidden, classes)

    def forward(self, seq):
        states, _ = self.gru(seq)
        return self.out(states.mean(1))


model = Reader()
opt = torch.optim.Adam(model.parameters(), lr=0.01)
loss_function = nn.CrossEntropyLoss()
for epoch in range(15):
    perm = torch.randperm(len(seq_train))
    for i in range(0, len(perm), 32):
        rows = perm[i:i + 32]
        scores = model(seq_train[rows])
        loss = loss_function(scores, lab_train[rows])
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()

with torch.no_grad():
    acc = (model(seq_test).argmax(-1) == lab_test).float().mean()
print("score", acc.item())
