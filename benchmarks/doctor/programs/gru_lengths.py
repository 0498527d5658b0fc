"""Is a signal rising at its end? Signals of very different lengths, packed."""
import sys

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

torch.manual_seed(int(sys.argv[1]))


def signals(n):
    rows, labels = [], []
    for _ in range(n):
        length = int(torch.randint(5, 60, ()))
        steps = 0.5 * torch.randn(length)
        label = int(torch.randint(0, 2, ()))
        steps[-4:] += 0.6 if label else -0.6
        rows.append(steps.cumsum(0)[:, None] / 4)
        labels.append(label)
    return rows, torch.tensor(labels)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 24, batch_first=True)
        self.fc = nn.Linear(24, 2)

    def forward(self, rows):
        lengths = torch.tensor([len(r) for r in rows])
        padded = pad_sequence(rows, batch_first=True)
        packed = pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False)
        _, last = self.gru(packed)
        return self.fc(last[0])


train_rows, train_labels = signals(500)
test_rows, test_labels = signals(300)
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for epoch in range(8):
    for idx in torch.randperm(len(train_rows)).split(32):
        logits = net([train_rows[i] for i in idx])
        loss = nn.functional.cross_entropy(logits, train_labels[idx])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()

net.eval()
with torch.no_grad():
    right = sum(int(net([row]).argmax()) == int(label) for row, label in zip(test_rows, test_labels))
print("score", right / len(test_rows))
