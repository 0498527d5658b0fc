import sys
import numpy as np
import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetRegressor

seed = int(sys.argv[1])
torch.manual_seed(seed)
X, y = load_diabetes(return_X_y=True)
X = X.astype("float32")
y = ((y - y.mean()) / y.std()).astype("float32").reshape(-1, 1)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)

module = torch.nn.Sequential(torch.nn.Linear(10, 12), torch.nn.ReLU(), torch.nn.Linear(12, 1))
net = NeuralNetRegressor(
    module,
    optimizer=torch.optim.SGD,
    optimizer__momentum=0.9,
    lr=0.004,
    max_epochs=25,
    batch_size=32,
    iterator_train__shuffle=True,
    train_split=None,
    verbose=0,
)
model = make_pipeline(StandardScaler(), net)
model.fit(X_train, y_train)
print("score", model.score(X_test, y_test))
