"""Two layers learnt one after the other as machines, without labels; then all with labels."""
import sys
import torch
from torch import nn
from sklearn.datasets import load_digits

torch.manual_seed(int(sys.argv[1]))
digits = load_digits()
order = torch.randperm(len(digits.target))
X = torch.tensor(digits.data, dtype=torch.float32)[order] / 16
y = torch.tensor(digits.target)[order]
X_train, y_train, X_test, y_test = X[:1300], y[:1300], X[1300:], y[1300:]


def train_rbm(data, n_hidden, epochs=8, lr=0.1):
    W = 0.01 * torch.randn(data.shape[1], n_hidden)
    a, b = torch.zeros(data.shape[1]), torch.zeros(n_hidden)
    for epoch in range(epochs):
        for v0 in data[torch.randperm(len(data))].split(50):
            h0 = torch.sigmoid(v0 @ W + b)
            v1 = torch.sigmoid(torch.bernoulli(h0) @ W.t() + a)
            h1 = torch.sigmoid(v1 @ W + b)
            W += lr * (v0.t() @ h0 - v1.t() @ h1) / len(v0)
            a += lr * (v0 - v1).mean(0)
            b += lr * (h0 - h1).mean(0)
    return W, b


with torch.no_grad():
    W1, b1 = train_rbm(X_train, 96)
    H = torch.sigmoid(X_train @ W1 + b1)
    W2, b2 = train_rbm(H, 64)

net = nn.Sequential(nn.Linear(64, 96), nn.Sigmoid(), nn.Linear(96, 64), nn.Sigmoid(), nn.Linear(64, 10))
with torch.no_grad():
    net[0].weight.copy_(W1.t()), net[0].bias.copy_(b1)
    net[2].weight.copy_(W2.t()), net[2].bias.copy_(b2)
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
criterion = nn.CrossEntropyLoss()
for epoch in range(20):
    for rows in torch.randperm(len(X_train)).split(50):
        optimizer.zero_grad()
        loss = criterion(net(X_train[rows]), y_train[rows])
        loss.backward()
        optimizer.step()

net.eval()
with torch.no_grad():
    print("score", (net(X_test).argmax(1) == y_test).float().mean().item())
