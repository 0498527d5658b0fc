import sys
import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from sklearn.preprocessing import StandardScaler

seed = int(sys.argv[1])
torch.manual_seed(seed)
X, y = make_classification(1500, 20, n_informative=12, n_classes=3, class_sep=1.4, random_state=seed)
X = torch.FloatTensor(StandardScaler().fit_transform(X))
y = torch.LongTensor(y)
X_train, y_train = X[:1000], y[:1000]
X_test, y_test = X[1000:], y[1000:]

model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 3))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
micro_batch, accumulate = 16, 4

for epoch in range(15):
    perm = torch.randperm(len(X_train))
    optimizer.zero_grad()
    for k, i in enumerate(range(0, len(perm), micro_batch)):
        rows = perm[i:i + micro_batch]
        loss = criterion(model(X_train[rows]), y_train[rows]) / accumulate
        loss.backward()
        if (k + 1) % accumulate == 0:
            nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            optimizer.step()
            optimizer.zero_grad()

model.eval()
with torch.no_grad():
    print("score", (model(X_test).argmax(1) == y_test).float().mean().item())
