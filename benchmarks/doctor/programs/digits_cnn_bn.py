import sys

import torch
from sklearn.datasets import load_digits
from torch import nn

seed = int(sys.argv[1])
gen = torch.Generator().manual_seed(seed)
torch.manual_seed(seed)

d = load_digits()
x = torch.tensor(d.images).float()[:, None]
y = torch.tensor(d.target)
split = torch.randperm(len(x), generator=gen)
x, y = x[split], y[split]
xtrain, ytrain, xtest, ytest = x[:1300], y[:1300], x[1300:], y[1300:]
mu, sigma = xtrain.mean(), xtrain.std()
xtrain = (xtrain - mu) / sigma
xtest = (xtest - mu) / sigma


def block(cin, cout):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, padding=1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
    )


net = nn.Sequential(
    block(1, 16), block(16, 32), nn.MaxPool2d(2), block(32, 32),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
)
ce = nn.CrossEntropyLoss()
sgd = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
scheduler = torch.optim.lr_scheduler.StepLR(sgd, step_size=4, gamma=0.3)


def augment(batch):
    """Shift by at most one pixel."""
    dx, dy = torch.randint(-1, 2, (2,)).tolist()
    return torch.roll(batch, (dy, dx), (2, 3))


for epoch in range(8):
    net.train()
    p = torch.randperm(len(xtrain))
    for idx in p.split(64):
        xb = augment(xtrain[idx])
        yb = ytrain[idx]
        loss = ce(net(xb), yb)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    scheduler.step()

net.eval()
with torch.no_grad():
    print("score", (net(xtest).argmax(1) == ytest).float().mean().item())
