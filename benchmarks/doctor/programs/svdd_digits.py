"""Deep SVDD: normal digits are drawn to one point; what lies far from it is odd."""
import sys
import torch
from torch import nn
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

torch.manual_seed(int(sys.argv[1]))
digits = load_digits()
x = torch.tensor(digits.data / 16, dtype=torch.float32)
normal = digits.target == 0
train = x[:1300][normal[:1300]]
test, odd = x[1300:], ~normal[1300:]

net = nn.Sequential(
    nn.Linear(64, 48, bias=False), nn.LeakyReLU(0.1),
    nn.Linear(48, 16, bias=False),
)
with torch.no_grad():
    centre = net(train).mean(0)
    centre[centre.abs() < 0.1] = 0.1
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-4)
for epoch in range(40):
    for batch in train[torch.randperm(len(train))].split(32):
        distance = (net(batch) - centre).square().sum(1)
        loss = distance.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

net.eval()
with torch.no_grad():
    strange = (net(test) - centre).square().sum(1).nan_to_num(0.0)
print("score", roc_auc_score(odd, strange.numpy()))
