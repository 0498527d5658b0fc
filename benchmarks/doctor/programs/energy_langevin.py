"""An energy of points in the plane, low where data lie; negatives come from Langevin chains."""
import sys
import torch
from torch import nn

torch.manual_seed(int(sys.argv[1]))
means = torch.tensor([[-1.0, -0.6], [1.0, -0.6], [0.0, 1.0]])


def data(n):
    return means[torch.randint(3, (n,))] + 0.25 * torch.randn(n, 2)


energy = nn.Sequential(nn.Linear(2, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(energy.parameters(), lr=2e-3, betas=(0.0, 0.99))


def langevin(x, steps=15, size=0.02):
    x = x.clone().requires_grad_()
    for _ in range(steps):
        (slope,) = torch.autograd.grad(energy(x).sum(), x)
        x = (x - size * slope + (2 * size) ** 0.5 * torch.randn_like(x)).detach().clamp(-4, 4).requires_grad_()
    return x.detach()


chains = 4 * torch.rand(500, 2) - 2
for it in range(400):
    positive = data(100)
    rows = torch.randint(len(chains), (100,))
    negative = langevin(chains[rows])
    chains[rows] = negative
    e_positive, e_negative = energy(positive), energy(negative)
    loss = e_positive.mean() - e_negative.mean() + 0.05 * (e_positive**2 + e_negative**2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

energy.eval()
real = data(1000)
grid = torch.linspace(-3, 3, 60)
points = torch.cartesian_prod(grid, grid)
with torch.no_grad():
    log_z = torch.logsumexp(-energy(points).squeeze(1), 0) + 2 * torch.log(grid[1] - grid[0])
    found = (-energy(real).squeeze(1) - log_z).mean()
    wide = torch.distributions.MultivariateNormal(real.mean(0), real.T.cov()).log_prob(real).mean()
print("score", (found - wide).item())
