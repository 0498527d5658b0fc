"""Denoising diffusion of two moons: predict the noise, then walk back from pure noise."""
import sys
import torch
import torch.nn as nn
from sklearn.datasets import make_moons

torch.manual_seed(int(sys.argv[1]))
T = 40
betas = torch.linspace(1e-4, 0.25, T)
alphas = 1 - betas
alpha_bars = alphas.cumprod(0)


def moons(n, seed):
    x, _ = make_moons(n, noise=0.05, random_state=seed)
    return (torch.tensor(x, dtype=torch.float32) - torch.tensor([0.5, 0.25])) / torch.tensor([0.87, 0.5])


class Denoiser(nn.Module):
    def __init__(self, hidden=96):
        super().__init__()
        self.time = nn.Embedding(T, 32)
        self.net = nn.Sequential(
            nn.Linear(2 + 32, hidden), nn.SiLU(),
            nn.Linear(hidden, hidden), nn.SiLU(),
            nn.Linear(hidden, hidden), nn.SiLU(),
            nn.Linear(hidden, 2),
        )

    def forward(self, x, t):
        return self.net(torch.cat([x, self.time(t)], dim=1))


@torch.no_grad()
def sample(model, n):
    x = torch.randn(n, 2)
    for t in reversed(range(T)):
        eps = model(x, torch.full((n,), t))
        x = (x - betas[t] / (1 - alpha_bars[t]).sqrt() * eps) / alphas[t].sqrt()
        if t > 0:
            x = x + betas[t].sqrt() * torch.randn_like(x)
    return x


data = moons(2000, int(sys.argv[1]))
model = Denoiser()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(70):
    for batch in data[torch.randperm(len(data))].split(200):
        t = torch.randint(0, T, (len(batch),))
        noise = torch.randn_like(batch)
        noisy = alpha_bars[t, None].sqrt() * batch + (1 - alpha_bars[t, None]).sqrt() * noise
        loss = (model(noisy, t) - noise).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

model.eval()
made, real = sample(model, 1000).nan_to_num(), moons(1000, 100)
between = torch.cdist(made, real).mean()
within = torch.cdist(made, made).mean() + torch.cdist(real, real).mean()
print("score", (1 - 4 * (2 * between - within)).item())
