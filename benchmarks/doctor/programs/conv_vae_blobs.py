"""A convolutional variational autoencoder; the divergence comes in over the first epochs."""
import sys
import torch
from torch import nn
from torch.nn import functional as F


def blobs(n, size=16):
    grid = torch.linspace(-1, 1, size)
    centre, width = 1.2 * torch.rand(n, 2) - 0.6, 0.15 + 0.2 * torch.rand(n)
    d = (grid[None, :, None] - centre[:, 0, None, None]) ** 2 + (grid[None, None, :] - centre[:, 1, None, None]) ** 2
    return torch.exp(-d / (2 * width[:, None, None] ** 2)).unsqueeze(1)


class ConvVAE(nn.Module):
    def __init__(self, latent=4):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 4, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 4, 2, 1), nn.ReLU(), nn.Flatten()
        )
        self.mu, self.logvar = nn.Linear(256, latent), nn.Linear(256, latent)
        self.fc = nn.Linear(latent, 256)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 1, 4, 2, 1)
        )

    def forward(self, x):
        h = self.encoder(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if self.training else mu
        return self.decoder(F.relu(self.fc(z)).view(-1, 16, 4, 4)), mu, logvar


def main():
    torch.manual_seed(int(sys.argv[1]))
    train, test = blobs(1000), blobs(300)
    model = ConvVAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(12):
        beta = min(1.0, (epoch + 1) / 6)
        model.train()
        for rows in torch.randperm(len(train)).split(50):
            batch = train[rows]
            logits, mu, logvar = model(batch)
            rec = F.binary_cross_entropy_with_logits(logits, batch, reduction="none").flatten(1).sum(1).mean()
            kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1).mean()
            loss = rec + beta * kl
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        error = F.mse_loss(torch.sigmoid(model(test)[0]), test)
    print("score", (1 - error / (test - train.mean(0)).pow(2).mean()).item())


if __name__ == "__main__":
    main()
