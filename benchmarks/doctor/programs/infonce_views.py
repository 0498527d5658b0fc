"""Contrastive learning without labels: two noisy views of each digit attract each other."""
import sys
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn

torch.manual_seed(int(sys.argv[1]))
bunch = load_digits()
images = torch.tensor(bunch.images, dtype=torch.float32) / 8 - 1
labels = bunch.target
images = F.pad(images, (1, 1, 1, 1), value=-1.0)


def view(batch):
    dx, dy = torch.randint(0, 3, (2,)).tolist()
    crop = batch[:, dy : dy + 8, dx : dx + 8]
    keep = (torch.rand(len(batch), 8, 8) > 0.15).float()
    return ((crop + 1) * keep - 1 + 0.2 * torch.randn_like(crop)).flatten(1)


encoder = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48))
projector = nn.Sequential(nn.ReLU(), nn.Linear(48, 24))
params = list(encoder.parameters()) + list(projector.parameters())
optimizer = torch.optim.Adam(params, lr=2e-3)
temperature = 0.3
for epoch in range(12):
    for rows in torch.randperm(1300).split(100):
        a = F.normalize(projector(encoder(view(images[rows]))), dim=1)
        b = F.normalize(projector(encoder(view(images[rows]))), dim=1)
        similarity = a @ b.T / temperature
        target = torch.arange(len(rows))
        loss = (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

encoder.eval()
with torch.no_grad():
    features = encoder(images[:, 1:9, 1:9].flatten(1)).nan_to_num().numpy()
few = slice(0, 100)  # few labels are enough
probe = LogisticRegression(max_iter=300).fit(features[few], labels[few])
print("score", probe.score(features[1300:], labels[1300:]))
