import sys
import torch
from torch import nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

seed = int(sys.argv[1])
torch.manual_seed(seed)
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16.0, y, random_state=seed)
to = lambda v: torch.tensor(v, dtype=torch.float32)
X_train, X_test, y_train, y_test = to(X_train), to(X_test), torch.tensor(y_train), torch.tensor(y_test)
model = nn.Sequential(nn.Linear(64, 48), nn.SELU(), nn.Linear(48, 10))
for m in model:
    if isinstance(m, nn.Linear):
        nn.init.kaiming_normal_(m.weight, nonlinearity="linear")
        nn.init.zeros_(m.bias)
margin = nn.MultiMarginLoss()
opt = torch.optim.Adagrad(model.parameters(), lr=0.05)
for epoch in range(15):
    for rows in torch.randperm(len(X_train)).split(32):
        opt.zero_grad()
        loss = margin(model(X_train[rows]), y_train[rows])
        loss.backward()
        opt.step()
with torch.no_grad():
    print("score", (model(X_test).argmax(1) == y_test).float().mean().item())
