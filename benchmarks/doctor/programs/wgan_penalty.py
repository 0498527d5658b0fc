import sys
import torch
from torch import nn
from sklearn.datasets import make_moons

seed = int(sys.argv[1])
torch.manual_seed(seed)
cloud, _ = make_moons(2000, noise=0.06, random_state=seed)
cloud = torch.tensor(cloud, dtype=torch.float32) - torch.tensor([0.5, 0.25])


def mlp(*sizes):
    layers = []
    for a, b in zip(sizes[:-1], sizes[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


G = mlp(2, 48, 48, 2)
C = mlp(2, 48, 48, 1)
optG = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.0, 0.9))
optC = torch.optim.Adam(C.parameters(), lr=2e-3, betas=(0.0, 0.9))
for it in range(400):
    for _ in range(3):
        real = cloud[torch.randint(0, len(cloud), (64,))]
        fake = G(torch.randn(64, 2)).detach()
        eps = torch.rand(64, 1)
        mix = (eps * real + (1 - eps) * fake).requires_grad_()
        grad = torch.autograd.grad(C(mix).sum(), mix, create_graph=True)[0]
        penalty = ((grad.norm(dim=1) - 1) ** 2).mean()
        loss_c = C(fake).mean() - C(real).mean() + penalty
        optC.zero_grad()
        loss_c.backward()
        optC.step()
    loss_g = -C(G(torch.randn(64, 2))).mean()
    optG.zero_grad()
    loss_g.backward()
    optG.step()

with torch.no_grad():
    made = G(torch.randn(1500, 2))
    d = torch.cdist(made, cloud)
    energy = 2 * d.mean() - torch.cdist(made, made).mean() - torch.cdist(cloud, cloud).mean()
print("score", 1 - 4 * energy.item())
