"""Batch normalisation scales the raw columns; bottles are judged a few at a time."""
import sys
import torch
from torch import nn
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

seed = int(sys.argv[1])
torch.manual_seed(seed)
data, target = load_wine(return_X_y=True)
d_train, d_test, t_train, t_test = train_test_split(data, target, test_size=0.4, random_state=seed)
d_train, d_test = torch.tensor(d_train).float(), torch.tensor(d_test).float()
t_train, t_test = torch.tensor(t_train), torch.tensor(t_test)

model = nn.Sequential(
    nn.BatchNorm1d(13),
    nn.Linear(13, 48),
    nn.BatchNorm1d(48),
    nn.ReLU(),
    nn.Dropout(0.5),
    nn.Linear(48, 3),
)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
criterion = nn.CrossEntropyLoss()
loader = DataLoader(TensorDataset(d_train, t_train), batch_size=24, shuffle=True)
for epoch in range(60):
    model.train()
    for bottles, makers in loader:
        optimizer.zero_grad()
        loss = criterion(model(bottles), makers)
        loss.backward()
        optimizer.step()

model.eval()
right = 0
with torch.no_grad():
    for i in range(0, len(d_test), 4):
        right += (model(d_test[i:i + 4]).argmax(1) == t_test[i:i + 4]).sum().item()
print("score", right / len(d_test))
