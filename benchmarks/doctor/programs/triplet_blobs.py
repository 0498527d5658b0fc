import sys
import torch
from torch import nn
from sklearn.datasets import make_blobs
from sklearn.neighbors import KNeighborsClassifier

seed = int(sys.argv[1])
torch.manual_seed(seed)
X, y = make_blobs(900, n_features=4, centers=6, cluster_std=1.3, random_state=seed)
X = torch.tensor((X - X.mean(0)) / X.std(0), dtype=torch.float32)
X = torch.cat([X, torch.randn(900, 12)], 1)  # most columns say nothing
y = torch.tensor(y)
X_train, y_train, X_test, y_test = X[:600], y[:600], X[600:], y[600:]
by_class = [torch.nonzero(y_train == c)[:, 0] for c in range(6)]

encoder = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8))
opt = torch.optim.SGD(encoder.parameters(), lr=0.05, momentum=0.9)
triplet = nn.TripletMarginLoss(margin=1.0)
for step in range(400):
    anchor = torch.randint(0, 600, (32,))
    positive = torch.stack([by_class[c][torch.randint(len(by_class[c]), ())] for c in y_train[anchor]])
    negative = torch.randint(0, 600, (32,))
    differ = y_train[negative] != y_train[anchor]
    anchor, positive, negative = anchor[differ], positive[differ], negative[differ]
    loss = triplet(encoder(X_train[anchor]), encoder(X_train[positive]), encoder(X_train[negative]))
    opt.zero_grad()
    loss.backward()
    opt.step()

with torch.no_grad():
    knn = KNeighborsClassifier(5).fit(encoder(X_train).nan_to_num().numpy(), y_train.numpy())
    print("score", knn.score(encoder(X_test).nan_to_num().numpy(), y_test.numpy()))
