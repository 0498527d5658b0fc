"""Counts of claims: Poisson deviance explained."""
import sys
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(int(sys.argv[1]))
n = 2000
x = torch.randn(n, 6)
rate = torch.exp(0.6 * x[:, :1] - 0.4 * x[:, 1:2] + 0.5 * torch.cos(2 * x[:, 2:3]) + 0.3)
y = torch.poisson(rate)
x_train, y_train, x_test, y_test = x[:1500], y[:1500], x[1500:], y[1500:]

model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
loss_fn = nn.PoissonNLLLoss(log_input=True)
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(12):
    for xb, yb in DataLoader(TensorDataset(x_train, y_train), batch_size=32, shuffle=True):
        loss = loss_fn(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()


def deviance(mu, y):
    return 2 * (torch.xlogy(y, y / mu) - (y - mu)).mean()


with torch.no_grad():
    mu = model(x_test).exp().clamp(1e-6, 1e6)
    null = y_train.mean().expand_as(y_test)
print("score", (1 - deviance(mu, y_test) / deviance(null, y_test)).item())
