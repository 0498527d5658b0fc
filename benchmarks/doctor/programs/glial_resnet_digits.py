"""A published residual network, made small, on digits."""
import sys
import torch
from torch import nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

import glial

torch.manual_seed(int(sys.argv[1]))
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
labels = torch.tensor(digits.target)
order = torch.randperm(len(images))
images, labels = images[order], labels[order]
train_x, train_y, test_x, test_y = images[:1200], labels[:1200], images[1200:], labels[1200:]

model = glial.models.build("resnet20_cifar", images=[(1, 8, 8)], num_classes=10)
loader = DataLoader(TensorDataset(train_x, train_y), batch_size=60, shuffle=True)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
criterion = nn.CrossEntropyLoss()
for epoch in range(3):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()

model.eval()
with torch.no_grad():
    print("score", (model(test_x).argmax(1) == test_y).float().mean().item())
