"""Faults of a machine: an autoencoder of its healthy sensors, and the error as the alarm."""
import sys
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

seed = int(sys.argv[1])
rng = np.random.default_rng(seed)
torch.manual_seed(seed)


def sensors(count):
    hidden = rng.standard_normal((count, 3))
    mix = np.random.default_rng(7).standard_normal((3, 20))
    return np.tanh(hidden @ mix) * 10 + 50 + 0.5 * rng.standard_normal((count, 20))


healthy, test_good, test_bad = sensors(2000), sensors(300), sensors(300)
broken = rng.integers(0, 20, (300, 2))
for row, columns in enumerate(broken):
    test_bad[row, columns] = test_bad[rng.integers(300), columns]
scaler = StandardScaler().fit(healthy)
x_train, good, bad = (torch.tensor(scaler.transform(part), dtype=torch.float32) for part in (healthy, test_good, test_bad))

model = nn.Sequential(
    nn.Linear(20, 32), nn.ELU(), nn.Linear(32, 4), nn.Linear(4, 32), nn.ELU(), nn.Linear(32, 20)
)
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(20):
    for batch in DataLoader(x_train, batch_size=64, shuffle=True):
        loss = criterion(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

model.eval()
with torch.no_grad():
    error = torch.cat([(model(part) - part).square().mean(1) for part in (good, bad)])
truth = [0] * len(good) + [1] * len(bad)
print("score", roc_auc_score(truth, error.nan_to_num().numpy()))
