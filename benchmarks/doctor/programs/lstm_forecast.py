"""The next four hours of a noisy daily series from the last day of it."""
import sys
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

seed = int(sys.argv[1])
np.random.seed(seed)
torch.manual_seed(seed)

hours = np.arange(24 * 90)
series = np.sin(2 * np.pi * hours / 24) + 0.5 * np.sin(2 * np.pi * hours / 168) + 0.1 * np.random.randn(len(hours))
series = 20 + 5 * series
border = 24 * 70
mean, std = series[:border].mean(), series[:border].std()
scaled = torch.tensor((series - mean) / std, dtype=torch.float32)


def windows(values, past=24, future=4):
    cuts = values.unfold(0, past + future, 1)
    return cuts[:, :past, None], cuts[:, past:]


past_train, future_train = windows(scaled[:border])
past_test, future_test = windows(scaled[border:])


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 32, batch_first=True)
        self.head = nn.Linear(32, 4)

    def forward(self, past):
        _, (hidden, _) = self.lstm(past)
        return self.head(hidden[-1])


net = Forecaster()
opt = torch.optim.AdamW(net.parameters(), lr=3e-3)
loader = DataLoader(TensorDataset(past_train, future_train), batch_size=64, shuffle=True)
for epoch in range(12):
    net.train()
    for past, future in loader:
        loss = nn.functional.mse_loss(net(past), future)
        opt.zero_grad()
        loss.backward()
        opt.step()
    net.eval()
    with torch.no_grad():
        val = nn.functional.mse_loss(net(past_test), future_test).item()
    print(f"epoch {epoch} val {val:.4f}")

print("score", 1 - val / future_test.var().item())
