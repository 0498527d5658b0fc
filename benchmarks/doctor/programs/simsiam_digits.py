"""Two views of a digit, a predictor and a stopped gradient; no negatives."""
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier


class SimSiam(nn.Module):
    def __init__(self, dim=64):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU(),
            nn.Linear(128, dim), nn.BatchNorm1d(dim),
        )
        self.predictor = nn.Sequential(nn.Linear(dim, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, dim))

    def forward(self, x1, x2):
        z1, z2 = self.encoder(x1), self.encoder(x2)
        return self.predictor(z1), self.predictor(z2), z1.detach(), z2.detach()


def augment(x):
    x = x * (0.8 + 0.4 * torch.rand(len(x), 1))
    x = x * (torch.rand_like(x) > 0.2)
    return x + 0.1 * torch.randn_like(x)


def main(seed):
    torch.manual_seed(seed)
    digits = load_digits()
    data = torch.tensor(digits.data / 16, dtype=torch.float32)
    model = SimSiam()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    epochs = 15
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        model.train()
        for rows in torch.randperm(1300).split(100):
            p1, p2, z1, z2 = model(augment(data[rows]), augment(data[rows]))
            loss = -(F.cosine_similarity(p1, z2).mean() + F.cosine_similarity(p2, z1).mean()) / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()
    model.eval()
    with torch.no_grad():
        features = F.normalize(model.encoder(data), dim=1).nan_to_num().numpy()
    knn = KNeighborsClassifier(5).fit(features[:300], digits.target[:300])
    print("score", knn.score(features[1300:], digits.target[1300:]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
