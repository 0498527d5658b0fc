"""Learn features on the digits 0 to 6, keep them, and train a new head for 7 to 9."""
import sys
import torch
from torch import nn
from sklearn.datasets import load_digits

torch.manual_seed(int(sys.argv[1]))
X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 16, dtype=torch.float32), torch.tensor(y)


def train(model, params, x, y, epochs, lr):
    optimizer = torch.optim.Adam(params, lr=lr)
    for epoch in range(epochs):
        for rows in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()


backbone = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU())
source = y < 7
train_model = nn.Sequential(backbone, nn.Linear(48, 7))
train(train_model, train_model.parameters(), X[source], y[source], epochs=12, lr=4e-3)

for p in backbone.parameters():
    p.requires_grad = False
head = nn.Linear(48, 3)
model = nn.Sequential(backbone, head)
X_new, y_new = X[~source], y[~source] - 7
perm = torch.randperm(len(X_new))
fit, held = perm[:400], perm[400:]
train(model, head.parameters(), X_new[fit], y_new[fit], epochs=30, lr=2e-2)
model.eval()
with torch.no_grad():
    print("score", (model(X_new[held]).argmax(1) == y_new[held]).float().mean().item())
