"""Same digit or not? One network for both pictures, contrastive loss on the distance."""
import sys
import torch
from torch import nn
from sklearn.datasets import load_digits

torch.manual_seed(int(sys.argv[1]))
x, y = load_digits(return_X_y=True)
x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
perm = torch.randperm(len(x))
x, y = x[perm], y[perm]
x_train, y_train, x_test, y_test = x[:1200], y[:1200], x[1200:], y[1200:]


def pairs(x, y, n):
    i = torch.randint(0, len(y), (n,))
    j = torch.randint(0, len(y), (n,))
    # make half of the pairs equal
    for k in range(0, n, 2):
        same = torch.nonzero(y == y[i[k]])[:, 0]
        j[k] = same[torch.randint(0, len(same), ())]
    return x[i], x[j], (y[i] == y[j]).float()


class Embed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))

    def forward(self, x):
        return self.layers(x)


net = Embed()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
margin = 2.0
for step in range(400):
    a, b, same = pairs(x_train, y_train, 48)
    distance = torch.nn.functional.pairwise_distance(net(a), net(b))
    loss = (same * distance**2 + (1 - same) * torch.relu(margin - distance) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

net.eval()
with torch.no_grad():
    nearest = torch.cdist(net(x_test), net(x_train)).argmin(1)
print("score", (y_train[nearest] == y_test).float().mean().item())
