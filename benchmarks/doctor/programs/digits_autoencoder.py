import sys
import torch
from torch import nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

seed = int(sys.argv[1])
torch.manual_seed(seed)
data = load_digits().data.astype("float32") / 16
train, test = train_test_split(data, test_size=0.3, random_state=seed)
train, test = torch.from_numpy(train), torch.from_numpy(test)


class AutoEncoder(nn.Module):
    def __init__(self, code=8):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, code))
        self.decoder = nn.Sequential(nn.Linear(code, 48), nn.ReLU(), nn.Linear(48, 64), nn.Sigmoid())

    def forward(self, x):
        return self.decoder(self.encoder(x))


ae = AutoEncoder()
opt = torch.optim.Adam(ae.parameters(), lr=1e-2)
loader = torch.utils.data.DataLoader(train, batch_size=32, shuffle=True)
for epoch in range(25):
    for batch in loader:
        rebuilt = ae(batch)
        loss = nn.functional.mse_loss(rebuilt, batch)
        opt.zero_grad()
        loss.backward()
        opt.step()

with torch.no_grad():
    error = (ae(test) - test).pow(2).mean()
    trivial = (test - train.mean(0)).pow(2).mean()
print("score", (1 - error / trivial).item())
