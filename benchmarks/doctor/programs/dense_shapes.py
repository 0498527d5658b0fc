"""Densely connected convolutions tell circles, squares, crosses and triangles apart."""
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class Shapes(Dataset):
    def __init__(self, count, generator):
        self.labels = torch.randint(0, 4, (count,), generator=generator)
        self.images = torch.stack([self.draw(int(label), generator) for label in self.labels])

    def draw(self, label, generator):
        yy, xx = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
        cy, cx = (torch.rand(2, generator=generator) * 5 + 5.5).tolist()
        r = 2.5 + 2 * torch.rand(1, generator=generator).item()
        dy, dx = yy - cy, xx - cx
        if label == 0:
            inside = dy**2 + dx**2 < r**2
        elif label == 1:
            inside = torch.maximum(dy.abs(), dx.abs()) < r * 0.85
        elif label == 2:
            inside = (torch.minimum(dy.abs(), dx.abs()) < 1) & (torch.maximum(dy.abs(), dx.abs()) < r)
        else:
            inside = (dy < r * 0.8) & (dy > -r) & (dx.abs() < (dy + r) / 2)
        noise = 0.3 * torch.randn(16, 16, generator=generator)
        return (inside.float() * 2 - 0.5 + noise).unsqueeze(0)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.images[i], self.labels[i]


class DenseNet(nn.Module):
    def __init__(self, growth=8):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(8 + i * growth, growth, 3, padding=1, bias=False) for i in range(4))
        self.norms = nn.ModuleList(nn.BatchNorm2d(8 + i * growth) for i in range(4))
        self.fc = nn.Linear(8 + 4 * growth, 4)

    def forward(self, x):
        x = self.stem(x)
        for i, (norm, conv) in enumerate(zip(self.norms, self.convs)):
            if i == 2:
                x = F.avg_pool2d(x, 2)
            x = torch.cat([x, conv(F.relu(norm(x)))], dim=1)
        return self.fc(F.adaptive_avg_pool2d(F.relu(x), 1).flatten(1))


seed = int(sys.argv[1])
torch.manual_seed(seed)
generator = torch.Generator().manual_seed(seed)
train_loader = DataLoader(Shapes(1000, generator), batch_size=50, shuffle=True)
test_loader = DataLoader(Shapes(300, generator), batch_size=100)
model = DenseNet()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.8)
for epoch in range(8):
    model.train()
    for images, labels in train_loader:
        if torch.rand(1) < 0.5:
            images = images.flip(3)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    scheduler.step()

model.eval()
right = 0
with torch.no_grad():
    for images, labels in test_loader:
        right += (model(images).argmax(1) == labels).sum().item()
print("score", right / 300)
