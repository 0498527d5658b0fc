"""Is one rare digit in the bag? Attention over stored patterns pools each bag's rows."""
import sys
import torch
from torch import nn
from sklearn.datasets import load_digits

torch.manual_seed(int(sys.argv[1]))
digits = load_digits()
pictures = torch.tensor(digits.data, dtype=torch.float32) / 8 - 1
kinds = torch.tensor(digits.target)


def bags(first, last, count, size=6):
    wanted = torch.nonzero(kinds[first:last] == 3)[:, 0] + first
    others = torch.nonzero(kinds[first:last] != 3)[:, 0] + first
    rows = others[torch.randint(len(others), (count, size))]
    labels = torch.randint(0, 2, (count,))
    place = torch.randint(size, (count,))
    held = wanted[torch.randint(len(wanted), (count,))]
    rows[torch.arange(count), place] = torch.where(labels == 1, held, rows[torch.arange(count), place])
    return pictures[rows], labels.float()


class HopfieldPooling(nn.Module):
    def __init__(self, dim=32, memories=4, beta=0.5):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(memories, dim) / dim**0.5)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.beta = beta

    def forward(self, rows):
        share = torch.softmax(self.beta * self.queries @ self.key(rows).transpose(1, 2), dim=-1)
        return (share @ self.value(rows)).flatten(1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        self.pooling = HopfieldPooling()
        self.out = nn.Linear(128, 1)

    def forward(self, bag):
        return self.out(self.pooling(self.encoder(bag))).squeeze(1)


bags_train, labels_train = bags(0, 1300, 1500)
bags_test, labels_test = bags(1300, 1797, 400)
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-4)
loss_fn = nn.BCEWithLogitsLoss()
for epoch in range(15):
    net.train()
    for rows in torch.randperm(len(bags_train)).split(30):
        optimizer.zero_grad()
        loss = loss_fn(net(bags_train[rows]), labels_train[rows])
        loss.backward()
        optimizer.step()
net.eval()
with torch.no_grad():
    print("score", ((net(bags_test) > 0) == labels_test.bool()).float().mean().item())
