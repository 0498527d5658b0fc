import copy
import sys
import torch
from torch import nn
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

seed = int(sys.argv[1])
torch.manual_seed(seed)
X, y = load_breast_cancer(return_X_y=True)
X_rest, X_test, y_rest, y_test = train_test_split(X, y, test_size=0.25, random_state=seed)
X_train, X_val, y_train, y_val = train_test_split(X_rest, y_rest, test_size=0.25, random_state=seed)
lo, hi = X_train.min(0), X_train.max(0)
prep = lambda a: torch.tensor((a - lo) / (hi - lo) * 2 - 1, dtype=torch.float32)
X_train, X_val, X_test = prep(X_train), prep(X_val), prep(X_test)
y_train, y_val, y_test = (torch.tensor(t, dtype=torch.float32) for t in (y_train, y_val, y_test))

model = nn.Sequential(nn.Linear(30, 32), nn.ELU(), nn.Linear(32, 16), nn.ELU(), nn.Linear(16, 1), nn.Flatten(0))
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
best, best_state, bad_epochs, patience = float("inf"), None, 0, 8
for epoch in range(100):
    model.train()
    for rows in torch.randperm(len(X_train)).split(32):
        loss = nn.functional.binary_cross_entropy_with_logits(model(X_train[rows]), y_train[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        val_loss = nn.functional.binary_cross_entropy_with_logits(model(X_val), y_val).item()
    if val_loss < best - 1e-4:
        best, best_state, bad_epochs = val_loss, copy.deepcopy(model.state_dict()), 0
    else:
        bad_epochs += 1
        if bad_epochs >= patience:
            break
model.load_state_dict(best_state)
model.eval()
with torch.no_grad():
    print("score", ((model(X_test) > 0) == (y_test > 0.5)).float().mean().item())
