"""Three folds, a fresh network for each."""
import sys
import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedKFold
from torch import nn

seed = int(sys.argv[1])
torch.manual_seed(seed)
X, y = load_breast_cancer(return_X_y=True)
scores = []
for train_idx, test_idx in StratifiedKFold(3, shuffle=True, random_state=seed).split(X, y):
    mu, sd = X[train_idx].mean(0), X[train_idx].std(0)
    x_train = torch.tensor((X[train_idx] - mu) / sd, dtype=torch.float32)
    x_test = torch.tensor((X[test_idx] - mu) / sd, dtype=torch.float32)
    y_train, y_test = torch.tensor(y[train_idx]), torch.tensor(y[test_idx])
    net = nn.Sequential(nn.Linear(30, 24), nn.ReLU(), nn.Linear(24, 2))
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    for epoch in range(15):
        for rows in torch.randperm(len(x_train)).split(32):
            loss = nn.functional.cross_entropy(net(x_train[rows]), y_train[rows])
            opt.zero_grad()
            loss.backward()
            opt.step()
    net.eval()
    with torch.no_grad():
        scores.append((net(x_test).argmax(1) == y_test).float().mean().item())
print("score", np.mean(scores))
