import sys, math
import torch
from torch import nn

torch.manual_seed(int(sys.argv[1]))
x = torch.rand(1200, 1) * 4 - 2
noise = 0.1 + 0.3 * (x > 0).float()
y = torch.sin(2 * x) + noise * torch.randn_like(x)
x_train, y_train, x_test, y_test = x[:900], y[:900], x[900:], y[900:]


class MeanVar(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh())
        self.mean = nn.Linear(32, 1)
        self.log_var = nn.Linear(32, 1)

    def forward(self, x):
        h = self.body(x)
        return self.mean(h), self.log_var(h).exp()


model = MeanVar()
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
criterion = nn.GaussianNLLLoss()
for epoch in range(40):
    for rows in torch.randperm(900).split(45):
        mu, var = model(x_train[rows])
        loss = criterion(mu, y_train[rows], var)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()

with torch.no_grad():
    mu, var = model(x_test)
    nll = criterion(mu, y_test, var)
    flat = criterion(y_train.mean().expand_as(y_test), y_test, y_train.var().expand_as(y_test))
print("score", (flat - nll).item())
