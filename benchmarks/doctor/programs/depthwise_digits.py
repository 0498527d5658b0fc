"""Depthwise separable convolutions with batch normalisation, and small shifts as augmentation."""
import sys
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import load_digits


def separable(c_in, c_out, stride=1):
    return nn.Sequential(
        nn.Conv2d(c_in, c_in, 3, stride=stride, padding=1, groups=c_in, bias=False),
        nn.BatchNorm2d(c_in),
        nn.ReLU6(),
        nn.Conv2d(c_in, c_out, 1, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU6(),
    )


def shifted(batch):
    dy, dx = torch.randint(-1, 2, (2,)).tolist()
    return torch.roll(batch, (dy, dx), dims=(2, 3))


torch.manual_seed(int(sys.argv[1]))
digits = load_digits()
order = torch.randperm(len(digits.target))
images = torch.tensor(digits.images[order], dtype=torch.float32)[:, None] / 16
labels = torch.tensor(digits.target[order])
mean, std = images[:1300].mean(), images[:1300].std()
images = (images - mean) / std
train_x, train_y, test_x, test_y = images[:1300], labels[:1300], images[1300:], labels[1300:]

net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1, bias=False),
    nn.BatchNorm2d(16),
    nn.ReLU6(),
    separable(16, 32, stride=2),
    separable(32, 64, stride=2),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(64, 10),
)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.3)
criterion = nn.CrossEntropyLoss()
train_loader = DataLoader(TensorDataset(train_x, train_y), batch_size=64, shuffle=True, drop_last=True)
for epoch in range(10):
    net.train()
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(net(shifted(x)), y)
        loss.backward()
        optimizer.step()
    scheduler.step()

net.eval()
with torch.no_grad():
    print("score", (net(test_x).argmax(1) == test_y).float().mean().item())
