"""The adding problem: a sequence of numbers, two of them marked; say their sum."""
import sys

import torch
import torch.nn as nn

torch.manual_seed(int(sys.argv[1]))
T = 12


def make(n):
    values = torch.rand(n, T)
    marks = torch.zeros(n, T)
    first = torch.randint(0, T // 2, (n,))
    second = torch.randint(T // 2, T, (n,))
    marks[torch.arange(n), first] = 1
    marks[torch.arange(n), second] = 1
    return torch.stack([values, marks], dim=2), (values * marks).sum(1, keepdim=True)


x_train, y_train = make(2400)
x_test, y_test = make(600)


class Adder(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.gru = nn.GRU(2, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        states, _ = self.gru(x)
        return self.out(states[:, -1])


model = Adder()
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(18):
    for rows in torch.randperm(len(x_train)).split(60):
        optimizer.zero_grad()
        loss = loss_fn(model(x_train[rows]), y_train[rows])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

model.eval()
with torch.no_grad():
    error = loss_fn(model(x_test), y_test)
print("score", (1 - error / y_test.var()).item())
