import sys
import numpy as np
import torch
import torch.nn as nn

seed = int(sys.argv[1])
rng = np.random.RandomState(seed)
torch.manual_seed(seed)
X = rng.uniform(-1, 1, (1000, 5)).astype("float32")
y = np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.5 * X[:, 3]
clean = y.copy()
bad = rng.rand(1000) < 0.05
y[bad] += rng.standard_t(2, bad.sum()) * 5  # gross errors of measurement
X, y = torch.tensor(X), torch.tensor(y, dtype=torch.float32).reshape(-1, 1)
x_train, t_train, x_test = X[:700], y[:700], X[700:]
t_test = torch.tensor(clean[700:], dtype=torch.float32).reshape(-1, 1)

net = nn.Sequential(nn.Linear(5, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1))
criterion = nn.L1Loss()
optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.95)
for epoch in range(40):
    perm = torch.randperm(700)
    for i in range(0, 700, 35):
        pred = net(x_train[perm[i:i + 35]])
        loss = criterion(pred, t_train[perm[i:i + 35]])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    scheduler.step()

with torch.no_grad():
    error = (net(x_test) - t_test).abs().mean()
print("score", (1 - error / (t_test - t_train.median()).abs().mean()).item())
