import sys

import torch
import torch.nn as nn
from sklearn.datasets import load_diabetes
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

seed = int(sys.argv[1])
torch.manual_seed(seed)
X, y = load_diabetes(return_X_y=True)
Xtr, Xte, ytr, yte = train_test_split(X, y[:, None], test_size=0.3, random_state=seed)
sx, sy = StandardScaler().fit(Xtr), StandardScaler().fit(ytr)
Xtr = torch.as_tensor(sx.transform(Xtr), dtype=torch.float32)
Xte = torch.as_tensor(sx.transform(Xte), dtype=torch.float32)
ytr = torch.as_tensor(sy.transform(ytr), dtype=torch.float32)
yte = torch.as_tensor(sy.transform(yte), dtype=torch.float32)

net = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 1))
mse = nn.MSELoss()
opt = torch.optim.SGD(net.parameters(), lr=0.006, weight_decay=1e-2)

n = len(Xtr)
for epoch in range(60):
    order = torch.randperm(n)
    for start in range(0, n, 16):
        batch = order[start : start + 16]
        opt.zero_grad()
        pred = net(Xtr[batch])
        loss = mse(pred, ytr[batch])
        loss.backward()
        opt.step()

with torch.no_grad():
    prediction = net(Xte)
print("score", r2_score(yte.numpy(), prediction.nan_to_num().numpy()))
