import sys
import torch
from torch import nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

seed = int(sys.argv[1])
torch.manual_seed(seed)
X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")
X_tr, X_te, y_tr, y_te = (torch.from_numpy(a) for a in train_test_split(X, y, test_size=0.3, random_state=seed))

model = nn.Sequential(nn.Linear(64, 128), nn.SiLU(), nn.Linear(128, 64), nn.SiLU(), nn.Linear(64, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.01)
criterion = nn.CrossEntropyLoss()
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X_tr, y_tr), batch_size=64, shuffle=True)

for epoch in range(14):
    for xb, yb in loader:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = model(xb)
            loss = criterion(out, yb)
        loss.backward()
        optimizer.step()

model.eval()
with torch.inference_mode():
    print("score", (model(X_te).argmax(1) == y_te).float().mean().item())
