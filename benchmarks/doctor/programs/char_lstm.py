"""Truncated back-propagation through time over one long text of numbers spelled out."""
import random
import sys
import torch
from torch import nn

seed = int(sys.argv[1])
random.seed(seed)
torch.manual_seed(seed)
names = "zero one two three four five six seven eight nine".split()
text = ""
while len(text) < 16000:
    k = random.randrange(9)
    text += f"{names[k]} plus one makes {names[k + 1]}. "
vocab = sorted(set(text))
ids = torch.tensor([vocab.index(c) for c in text])
train, test = ids[:14000], ids[14000:]


class CharRNN(nn.Module):
    def __init__(self, n, hidden=64):
        super().__init__()
        self.embed = nn.Embedding(n, 16)
        self.rnn = nn.LSTM(16, hidden, batch_first=True)
        self.decode = nn.Linear(hidden, n)

    def forward(self, x, state=None):
        out, state = self.rnn(self.embed(x), state)
        return self.decode(out), state


def batchify(data, rows):
    cols = len(data) // rows
    return data[: rows * cols].view(rows, cols)


model = CharRNN(len(vocab))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
loss_fn = nn.CrossEntropyLoss()
streams = batchify(train, 20)
for epoch in range(3):
    state = None
    for i in range(0, streams.size(1) - 1, 25):
        x = streams[:, i : i + 25]
        y = streams[:, i + 1 : i + 26]
        x = x[:, : y.size(1)]
        if state is not None:
            state = tuple(s.detach() for s in state)
        logits, state = model(x, state)
        loss = loss_fn(logits.transpose(1, 2), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()

model.eval()
with torch.no_grad():
    logits, _ = model(test[None, :-1])
print("score", (logits[0].argmax(-1) == test[1:]).float().mean().item())
