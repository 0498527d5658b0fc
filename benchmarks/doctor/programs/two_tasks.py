"""One body, two heads, two optimisers taking turns: class and size of a wine's colour."""
import sys
import torch
from torch import nn
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

torch.manual_seed(int(sys.argv[1]))
data = load_wine()
colour = data.data[:, 9:10]
rest = StandardScaler().fit_transform(data.data[:, [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12]])
x = torch.tensor(rest, dtype=torch.float32)
cls = torch.tensor(data.target)
size = torch.tensor(StandardScaler().fit_transform(colour), dtype=torch.float32)
perm = torch.randperm(len(x))
tr, te = perm[:120], perm[120:]

body = nn.Sequential(nn.Linear(12, 32), nn.ReLU())
class_head = nn.Linear(32, 3)
size_head = nn.Linear(32, 1)
opt_a = torch.optim.Adam([*body.parameters(), *class_head.parameters()], lr=3e-3)
opt_b = torch.optim.Adam([*body.parameters(), *size_head.parameters()], lr=3e-3)
for epoch in range(60):
    for rows in tr[torch.randperm(len(tr))].split(20):
        opt_a.zero_grad()
        nn.functional.cross_entropy(class_head(body(x[rows])), cls[rows]).backward()
        opt_a.step()
        opt_b.zero_grad()
        nn.functional.mse_loss(size_head(body(x[rows])), size[rows]).backward()
        opt_b.step()

with torch.no_grad():
    h = body(x[te])
    accuracy = (class_head(h).argmax(1) == cls[te]).float().mean()
    r2 = 1 - (size_head(h) - size[te]).pow(2).mean() / size[te].var()
print("score", ((accuracy + r2) / 2).item())
