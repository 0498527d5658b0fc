import sys
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(13, 32)
        self.fc2 = nn.Linear(32, 16)
        self.fc3 = nn.Linear(16, 3)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def main(seed):
    np.random.seed(seed)
    torch.manual_seed(seed)
    data = load_wine()
    x_tr, x_te, y_tr, y_te = train_test_split(data.data, data.target, test_size=0.4, random_state=seed)
    scaler = StandardScaler().fit(x_tr)
    x_tr = torch.from_numpy(scaler.transform(x_tr)).float()
    x_te = torch.from_numpy(scaler.transform(x_te)).float()
    y_tr = torch.from_numpy(y_tr)
    y_te = torch.from_numpy(y_te)

    net = Net()
    opt = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    batch_size = 16
    for epoch in range(60):
        perm = torch.randperm(len(x_tr))
        for i in range(0, len(x_tr), batch_size):
            idx = perm[i:i + batch_size]
            xb, yb = x_tr[idx], y_tr[idx]
            out = net(xb)
            loss = F.cross_entropy(out, yb)
            opt.zero_grad()
            loss.backward()
            opt.step()

    net.eval()
    with torch.no_grad():
        pred = net(x_te).argmax(dim=1)
    print(f"score {(pred == y_te).double().mean().item():.4f}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
