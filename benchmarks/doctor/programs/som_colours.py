"""A self-organising map of colours; no gradient is taken."""
import sys
import torch

torch.manual_seed(int(sys.argv[1]))
side, steps = 8, 3000
base = torch.rand(12, 3)
colours = (base[torch.randint(12, (1200,))] + 0.05 * torch.randn(1200, 3)).clamp(0, 1)
train, test = colours[:1000], colours[1000:]
places = torch.cartesian_prod(torch.arange(side), torch.arange(side)).float()
weights = torch.rand(side * side, 3)
for step in range(steps):
    x = train[torch.randint(len(train), (1,))]
    winner = (weights - x).square().sum(1).argmin()
    progress = step / steps
    radius = side / 2 * (0.5 / (side / 2)) ** progress
    rate = 0.5 * 0.02**progress
    pull = torch.exp(-(places - places[winner]).square().sum(1) / (2 * radius**2))
    weights += rate * pull[:, None] * (x - weights)

error = torch.cdist(test, weights).min(1).values.square().mean()
trivial = (test - train.mean(0)).square().sum(1).mean()
print("score", (1 - error / trivial).item())
