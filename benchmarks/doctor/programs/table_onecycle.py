"""Synthetic table, batch norm, one-cycle schedule."""
import sys
import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader
from sklearn.datasets import make_classification


class TableData(Dataset):
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class MLP(nn.Module):
    def __init__(self, d_in, d_hidden, d_out):
        super().__init__()
        self.l1 = nn.Linear(d_in, d_hidden)
        self.bn1 = nn.BatchNorm1d(d_hidden)
        self.l2 = nn.Linear(d_hidden, d_hidden)
        self.bn2 = nn.BatchNorm1d(d_hidden)
        self.out = nn.Linear(d_hidden, d_out)
        self.act = nn.ReLU()

    def forward(self, x):
        x = self.act(self.bn1(self.l1(x)))
        x = self.act(self.bn2(self.l2(x)))
        return self.out(x)


def evaluate(model, loader):
    model.eval()
    hits = total = 0
    with torch.no_grad():
        for x, y in loader:
            hits += (model(x).argmax(1) == y).sum().item()
            total += len(y)
    return hits / total


if __name__ == "__main__":
    seed = int(sys.argv[1])
    np.random.seed(seed)
    torch.manual_seed(seed)
    x, y = make_classification(1600, 16, n_informative=10, n_classes=4, class_sep=1.5, random_state=seed)
    x = (x - x[:1200].mean(0)) / x[:1200].std(0)
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    x_train, y_train, x_val, y_val = x[:1200], y[:1200], x[1200:], y[1200:]
    train_dl = DataLoader(TableData(x_train, y_train), batch_size=64, shuffle=True, drop_last=True)
    val_dl = DataLoader(TableData(x_val, y_val), batch_size=200)
    model = MLP(16, 48, 4)
    epochs = 15
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.01, total_steps=epochs * len(train_dl))
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        for xb, yb in train_dl:
            opt.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            opt.step()
            sched.step()
    print("score", evaluate(model, val_dl))
