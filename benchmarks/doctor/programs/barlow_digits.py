"""Views of one digit agree in every feature, and features do not repeat each other."""
import sys
import torch
from torch import nn
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

torch.manual_seed(int(sys.argv[1]))
digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
x = (x - x[:1300].mean(0)) / (x[:1300].std(0) + 1.0)
y = digits.target

encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64))
projector = nn.Sequential(nn.ReLU(), nn.Linear(64, 64))
optimizer = torch.optim.Adam([*encoder.parameters(), *projector.parameters()], lr=1e-3)


def view(batch):
    return batch * (torch.rand_like(batch) > 0.15) + 0.2 * torch.randn_like(batch)


for epoch in range(20):
    for rows in torch.randperm(1300).split(130):
        a, b = projector(encoder(view(x[rows]))), projector(encoder(view(x[rows])))
        a = (a - a.mean(0)) / (a.std(0) + 1e-4)
        b = (b - b.mean(0)) / (b.std(0) + 1e-4)
        c = a.T @ b / len(rows)
        on_diagonal = (c.diagonal() - 1).pow(2).sum()
        off_diagonal = c.pow(2).sum() - c.diagonal().pow(2).sum()
        loss = on_diagonal + 0.02 * off_diagonal
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

encoder.eval()
with torch.no_grad():
    features = encoder(x).nan_to_num().numpy()
probe = LogisticRegression(max_iter=500).fit(features[:150], y[:150])
print("score", probe.score(features[1300:], y[1300:]))
