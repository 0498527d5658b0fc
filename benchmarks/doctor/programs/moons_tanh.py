import sys
import torch
from torch import nn
from sklearn.datasets import make_moons

seed = int(sys.argv[1])
torch.manual_seed(seed)
points, side = make_moons(800, noise=0.2, random_state=seed)
points = torch.tensor(points, dtype=torch.float32)
side = torch.tensor(side)
train_x, train_y, test_x, test_y = points[:500], side[:500], points[500:], side[500:]

net = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 2), nn.LogSoftmax(dim=1))
opt = torch.optim.RMSprop(net.parameters(), lr=0.003)
for epoch in range(40):
    shuffled = torch.randperm(500)
    for rows in shuffled.chunk(16):
        log_p = net(train_x[rows])
        loss = nn.functional.nll_loss(log_p, train_y[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()

net.eval()
print("score", (net(test_x).argmax(1) == test_y).float().mean().item())
