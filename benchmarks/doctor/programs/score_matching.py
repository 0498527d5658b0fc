"""Denoising score matching: which way leads to the data, then Langevin steps along it."""
import math
import sys
import torch
import torch.nn as nn

torch.manual_seed(int(sys.argv[1]))
sigmas = torch.logspace(0.3, -1.1, 8)


def spiral(n):
    t = 1 + 3 * torch.rand(n).sqrt() * math.pi
    return torch.stack([t * t.cos(), t * t.sin()], 1) / 6 + 0.03 * torch.randn(n, 2)


class ScoreNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(3, 128), nn.Softplus(), nn.Linear(128, 128), nn.Softplus(), nn.Linear(128, 2)
        )

    def forward(self, x, sigma):
        return self.net(torch.cat([x, sigma.log()], 1)) / sigma


model = ScoreNet()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(1000):
    x = spiral(200)
    sigma = sigmas[torch.randint(len(sigmas), (len(x), 1))]
    noise = torch.randn_like(x)
    score = model(x + sigma * noise, sigma)
    loss = (sigma * score + noise).square().sum(1).mean() / 2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

model.eval()
with torch.no_grad():
    x = torch.randn(1000, 2) * 2
    for sigma in sigmas:
        size = 0.15 * sigma**2
        for _ in range(25):
            x = x + size * model(x, sigma.expand(len(x), 1)) + (2 * size).sqrt() * torch.randn_like(x)
    x, real = x.nan_to_num().clamp(-10, 10), spiral(1000)
    energy = 2 * torch.cdist(x, real).mean() - torch.cdist(x, x).mean() - torch.cdist(real, real).mean()
print("score", 1 - 4 * energy.item())
