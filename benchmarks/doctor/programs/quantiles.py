"""Quantiles .1, .5 and .9 by the pinball loss."""
import sys

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from torch import nn

seed = int(sys.argv[1])
torch.manual_seed(seed)
features, target = load_diabetes(return_X_y=True)
target = (target - target.mean()) / target.std()
features = features / features.std(0)
f_train, f_test, t_train, t_test = train_test_split(features, target[:, None], random_state=seed)
f_train, f_test, t_train, t_test = (
    torch.tensor(np.asarray(a), dtype=torch.float32) for a in (f_train, f_test, t_train, t_test)
)
levels = torch.tensor([0.1, 0.5, 0.9])


def pinball(q, t):
    d = t - q
    return torch.maximum(levels * d, (levels - 1) * d).mean()


net = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 3))
opt = torch.optim.Adam(net.parameters(), lr=5e-3, weight_decay=1e-3)
for epoch in range(40):
    for rows in torch.randperm(len(f_train)).split(32):
        loss = pinball(net(f_train[rows]), t_train[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()

with torch.no_grad():
    ours = pinball(net(f_test), t_test)
    constant = pinball(torch.quantile(t_train, levels), t_test)
print("score", (1 - ours / constant).item())
