import sys, math
import torch, torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(int(sys.argv[1]))
modes = torch.tensor([[math.cos(a), math.sin(a)] for a in torch.arange(6) * math.pi / 3]) * 1.5
latent_dim = 4


def real_batch(n):
    return modes[torch.randint(0, 6, (n,))] + 0.1 * torch.randn(n, 2)


generator = nn.Sequential(
    nn.Linear(latent_dim, 64), nn.ReLU(),
    nn.Linear(64, 64), nn.ReLU(),
    nn.Linear(64, 2),
)
discriminator = nn.Sequential(
    nn.Linear(2, 64), nn.LeakyReLU(0.2),
    nn.Linear(64, 64), nn.LeakyReLU(0.2),
    nn.Linear(64, 1),
)
g_opt = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.9))
d_opt = torch.optim.Adam(discriminator.parameters(), lr=2e-3, betas=(0.5, 0.9))

for step in range(900):
    # discriminator
    real = real_batch(96).requires_grad_()
    fake = generator(torch.randn(96, latent_dim)).detach()
    d_real = discriminator(real)
    d_fake = discriminator(fake)
    (slope,) = torch.autograd.grad(d_real.sum(), real, create_graph=True)
    d_loss = F.softplus(-d_real).mean() + F.softplus(d_fake).mean() + 0.1 * slope.pow(2).sum(1).mean()
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()

    # generator
    g_loss = F.softplus(-discriminator(generator(torch.randn(96, latent_dim)))).mean()
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()

with torch.no_grad():
    samples = generator(torch.randn(2000, latent_dim))
    reference = real_batch(2000)
    # energy distance between the two clouds
    between = torch.cdist(samples, reference).mean()
    within = torch.cdist(samples, samples).mean() + torch.cdist(reference, reference).mean()
print("score", 1 - 2 * (2 * between - within).item())
