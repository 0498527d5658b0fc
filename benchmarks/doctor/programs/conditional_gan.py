"""Rows of a wanted class: generator and discriminator are both told the class."""
import sys
import torch
import torch.nn as nn

seed = int(sys.argv[1])
torch.manual_seed(seed)
CLASSES, NOISE = 4, 6
centres = torch.tensor([[1.2, 0.0], [0.0, 1.2], [-1.2, 0.0], [0.0, -1.2]])


def real_batch(n):
    c = torch.randint(0, CLASSES, (n,))
    return centres[c] + 0.15 * torch.randn(n, 2), c


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.label = nn.Embedding(CLASSES, 8)
        self.net = nn.Sequential(nn.Linear(NOISE + 8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))

    def forward(self, z, c):
        return self.net(torch.cat([z, self.label(c)], 1))


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.label = nn.Embedding(CLASSES, 8)
        self.net = nn.Sequential(
            nn.Linear(2 + 8, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1)
        )

    def forward(self, x, c):
        return self.net(torch.cat([x, self.label(c)], 1))


G, D = Generator(), Discriminator()
optG = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.0, 0.9))
optD = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.0, 0.9))
criterion = nn.BCEWithLogitsLoss()
for step in range(800):
    x, c = real_batch(100)
    x = x + 0.1 * torch.randn_like(x)  # instance noise
    wrong = G(torch.randn(100, NOISE), c).detach()
    wrong = wrong + 0.1 * torch.randn_like(wrong)
    loss_D = criterion(D(x, c), 0.9 * torch.ones(100, 1)) + criterion(D(wrong, c), torch.zeros(100, 1))
    optD.zero_grad()
    loss_D.backward()
    optD.step()

    c = torch.randint(0, CLASSES, (100,))
    made = G(torch.randn(100, NOISE), c)
    made = made + 0.1 * torch.randn_like(made)
    loss_G = criterion(D(made, c), torch.ones(100, 1))
    optG.zero_grad()
    loss_G.backward()
    optG.step()

G.eval()
with torch.no_grad():
    score = 0.0
    for k in range(CLASSES):
        c = torch.full((500,), k)
        a, b = G(torch.randn(500, NOISE), c), centres[k] + 0.15 * torch.randn(500, 2)
        energy = 2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()
        score += (1 - energy.item()) / CLASSES
print("score", score)
