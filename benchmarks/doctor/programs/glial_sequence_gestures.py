"""Gestures of three sensors with different lengths, by one of Glial's recurrent networks."""
import math
import sys
import torch
import torch.nn.functional as F

from glial.models import build

torch.manual_seed(int(sys.argv[1]))


def gestures(n, longest=30):
    labels = torch.randint(0, 4, (n,))
    lengths = torch.randint(18, longest + 1, (n,))
    t = torch.linspace(0, 2 * math.pi, longest)
    pace = torch.tensor([1.0, 1.0, 2.0, 2.0])[labels][:, None]
    turn = torch.tensor([1.0, -1.0, 1.0, -1.0])[labels][:, None]
    phase = 2 * math.pi * torch.rand(n, 1)
    x = torch.stack([torch.cos(pace * t + phase), turn * torch.sin(pace * t + phase), torch.zeros(n, longest)], 2)
    x = x + 0.3 * torch.randn_like(x)
    return x * (torch.arange(longest) < lengths[:, None]).unsqueeze(2), lengths, labels


x_train, n_train, y_train = gestures(1000)
x_test, n_test, y_test = gestures(300)
net = build("sequence_rnn", sequences=[[3]], num_outputs=4)
optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
for epoch in range(6):
    net.train()
    for rows in torch.randperm(len(x_train)).split(40):
        loss = F.cross_entropy(net(x_train[rows], n_train[rows]), y_train[rows])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
net.eval()
with torch.no_grad():
    print("score", (net(x_test, n_test).argmax(1) == y_test).float().mean().item())
