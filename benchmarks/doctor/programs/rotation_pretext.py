"""Learn features from digits without labels by telling how they were turned; then use them."""
import sys
import torch
from torch import nn
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

torch.manual_seed(int(sys.argv[1]))
bunch = load_digits()
images = torch.tensor(bunch.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
labels = bunch.target


def turned(batch):
    turns = torch.randint(0, 4, (len(batch),))
    out = torch.stack([torch.rot90(image, int(k), (1, 2)) for image, k in zip(batch, turns)])
    return out, turns


backbone = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
    nn.Flatten(), nn.Linear(512, 48), nn.ReLU(),
)
head = nn.Linear(48, 4)
model = nn.Sequential(backbone, head)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for epoch in range(8):
    model.train()
    for rows in torch.randperm(1300).split(50):
        x, y = turned(images[rows])
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()

model.eval()
with torch.no_grad():
    features = backbone(images).nan_to_num().numpy()
    x, y = turned(images[1300:])
    pretext = (model(x).argmax(1) == y).float().mean().item()
probe = LogisticRegression(max_iter=500).fit(features[:200], labels[:200])
print(f"turns {pretext:.3f} digits {probe.score(features[1300:], labels[1300:]):.3f}")
print("score", (pretext + probe.score(features[1300:], labels[1300:])) / 2)
