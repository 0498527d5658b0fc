"""One case in ten is positive; the loss weighs classes by how rare they are."""
import sys
import torch
from sklearn.datasets import make_classification
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from torch import nn

seed = int(sys.argv[1])
torch.manual_seed(seed)
X, y = make_classification(2500, 12, n_informative=6, weights=[0.9], class_sep=1.2, flip_y=0, random_state=seed)
Xa, Xb, ya, yb = train_test_split(X, y, stratify=y, random_state=seed)
mean, std = Xa.mean(0), Xa.std(0)
Xa = torch.tensor((Xa - mean) / std, dtype=torch.float32)
Xb = torch.tensor((Xb - mean) / std, dtype=torch.float32)
ya, yb = torch.tensor(ya), torch.tensor(yb)

counts = torch.bincount(ya).float()
criterion = nn.CrossEntropyLoss(weight=counts.sum() / (2 * counts))
net = nn.Sequential(nn.Linear(12, 32), nn.LeakyReLU(), nn.Linear(32, 2))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(20):
    for rows in torch.randperm(len(Xa)).split(64):
        out = net(Xa[rows])
        loss = criterion(out, ya[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
with torch.no_grad():
    guess = net(Xb).argmax(1)
print("score", balanced_accuracy_score(yb, guess))
