"""A data set that adds its own noise, read by two workers with a generator each."""
import sys
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset


class NoisyDigits(Dataset):
    def __init__(self, x, y):
        self.x, self.y = x, y
        self.rng = np.random.default_rng(0)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        x = self.x[i] + self.rng.normal(0, 0.1, 64).astype(np.float32)
        return x, self.y[i]


def reseed(worker):
    info = torch.utils.data.get_worker_info()
    info.dataset.rng = np.random.default_rng(info.seed)


if __name__ == "__main__":
    torch.manual_seed(int(sys.argv[1]))
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    order = np.random.default_rng(int(sys.argv[1])).permutation(len(x))
    a, b = order[:1300], order[1300:]
    loader = DataLoader(NoisyDigits(x[a], y[a]), batch_size=32, shuffle=True, num_workers=2,
                        worker_init_fn=reseed, persistent_workers=True)
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=8e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(8):
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = criterion(net(xb), yb)
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        print("score", (net(torch.tensor(x[b])).argmax(1) == torch.tensor(y[b])).float().mean().item())
