import sys

import numpy as np
import torch
from skorch import NeuralNetClassifier
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn

seed = int(sys.argv[1])
np.random.seed(seed)
torch.manual_seed(seed)
X, y = make_classification(1200, 20, n_informative=10, n_classes=3, class_sep=1.3, random_state=seed)
X, y = X.astype(np.float32), y.astype(np.int64)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=seed)
scaler = StandardScaler().fit(X_train)
X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)


class Module(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.dense0 = nn.Linear(20, hidden)
        self.dropout = nn.Dropout(0.2)
        self.dense1 = nn.Linear(hidden, hidden)
        self.output = nn.Linear(hidden, 3)

    def forward(self, X):
        X = torch.relu(self.dense0(X))
        X = self.dropout(X)
        X = torch.relu(self.dense1(X))
        return self.output(X)


net = NeuralNetClassifier(
    Module,
    criterion=nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=0.002,
    max_epochs=15,
    batch_size=32,
    iterator_train__shuffle=True,
    verbose=0,
)
net.fit(X_train, y_train)
print("score", net.score(X_test, y_test))
