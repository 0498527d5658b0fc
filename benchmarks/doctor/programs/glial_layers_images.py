"""Glial's layers between torch's: squeeze and excitation, separable filters, learnt pooling."""
import sys
import torch
from torch import nn
from sklearn.datasets import load_digits

from glial.nn import DepthwiseSeparableConv2d, GeneralizedMeanPool2d, SqueezeExcitation

torch.manual_seed(int(sys.argv[1]))
digits = load_digits()
images = torch.tensor(digits.images[:, None], dtype=torch.float32)
images = (images - images[:1300].mean()) / images[:1300].std()
labels = torch.tensor(digits.target)
train_images, train_labels = images[:1300], labels[:1300]
test_images, test_labels = images[1300:], labels[1300:]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, padding=1)
        self.squeeze = SqueezeExcitation(16, squeeze=4)
        self.separable = DepthwiseSeparableConv2d(16, 48, 3, stride=2, padding=1)
        self.pool = GeneralizedMeanPool2d()
        self.fc = nn.Linear(48, 10)

    def forward(self, x):
        x = self.squeeze(torch.relu(self.conv(x)))
        x = torch.relu(self.separable(x))
        return self.fc(self.pool(x).flatten(1))


net = Net()
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
for epoch in range(15):
    for rows in torch.randperm(len(train_images)).split(50):
        optimizer.zero_grad()
        loss = loss_fn(net(train_images[rows]), train_labels[rows])
        loss.backward()
        optimizer.step()
net.eval()
with torch.no_grad():
    print("score", (net(test_images).argmax(1) == test_labels).float().mean().item())
