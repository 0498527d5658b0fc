import sys
import torch
from torch import nn
from torch.nn import functional as F
from sklearn.datasets import load_digits

torch.manual_seed(int(sys.argv[1]))


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 64)
        self.fc21 = nn.Linear(64, 6)
        self.fc22 = nn.Linear(64, 6)
        self.fc3 = nn.Linear(6, 64)
        self.fc4 = nn.Linear(64, 64)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x)
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


def elbo(recon_x, x, mu, logvar):
    bce = F.binary_cross_entropy(recon_x, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (bce + kld) / len(x)


x = torch.tensor(load_digits().data, dtype=torch.float32) / 16
x = x[torch.randperm(len(x))]
x_train, x_test = x[:1300], x[1300:]
model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
for epoch in range(20):
    model.train()
    for batch in torch.utils.data.DataLoader(x_train, batch_size=50, shuffle=True):
        optimizer.zero_grad()
        recon, mu, logvar = model(batch)
        loss = elbo(recon, batch, mu, logvar)
        loss.backward()
        optimizer.step()

model.eval()
with torch.no_grad():
    mean = x_train.mean(0).clamp(1e-4, 1 - 1e-4).expand_as(x_test)
    trivial = F.binary_cross_entropy(mean, x_test, reduction="sum") / len(x_test)
    print("score", ((trivial - elbo(*[model(x_test)[0], x_test, *model(x_test)[1:]])) / trivial * 5).item())
