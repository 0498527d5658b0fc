import sys
import torch
from torch import nn
from sklearn.datasets import make_regression
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

seed = int(sys.argv[1])
torch.manual_seed(seed)
X, Y = make_regression(600, 15, n_targets=3, noise=10.0, random_state=seed)
X, Y = StandardScaler().fit_transform(X), StandardScaler().fit_transform(Y)
X, Y = torch.tensor(X).float(), torch.tensor(Y).float()
X_train, Y_train, X_test, Y_test = X[:400], Y[:400], X[400:], Y[400:]

linear = nn.Linear(15, 3)  # the truth is linear
optimizer = torch.optim.SGD(linear.parameters(), lr=0.02)
for epoch in range(30):
    for rows in torch.randperm(400).split(20):
        loss = ((linear(X_train[rows]) - Y_train[rows]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
with torch.no_grad():
    print("score", r2_score(Y_test.numpy(), linear(X_test).numpy()))
